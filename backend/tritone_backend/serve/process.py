"""One tritonserver as a child process: start, wait for a real answer, stop, leave nothing behind.

Deciding when to start it again is the work of `supervisor`; this module never restarts anything.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tritone_backend import board
from tritone_backend.access.keyfile import read_keys
from tritone_backend.access.keys import KeysError
from tritone_backend.serve import launcher, locate
from tritone_backend.serve.command import ServerPaths, client_authorities, model_environment, server_command
from tritone_backend.serve.credentials import Credentials, credentials_file
from tritone_backend.serve.errors import ServeError
from tritone_backend.serve.folders import runtime_dir
from tritone_backend.serve.lease import SHM_DIR, Lease, remove_abandoned
from tritone_backend.serve.ports import accepts_connections, check_free, resolve_ipv4
from tritone_backend.serve.probe import probe
from tritone_backend.serve.procs import describe_status, group_members, is_running, reap_group, signal_group
from tritone_backend.serve.serverlog import ServerLog, failure_cause
from tritone_backend.serve.settings import ServeSettings

PROBE_TIMEOUT_S = 10.0
POLL_S = 0.05
KILL_WAIT_S = 5.0


class ServerProcess:
    """A tritonserver with its stubs, in a process group of its own.

    The same object can start a server again after it has ended. Not thread safe; a server started in the main
    thread dies with this process, even when that is killed.

    Args:
        settings: the operator's choices.
        repository: a ready model repository; by default one is rendered from the settings.
        keep_log: keep the server's log in a file; its last lines are kept in memory in any case.
    """

    def __init__(self, settings: ServeSettings, repository: Path | None = None, *, keep_log: bool = True) -> None:
        self.settings = settings
        self._given_repository = repository
        self._child: subprocess.Popen[bytes] | None = None
        self._shm: Lease | None = None
        self._files: Lease | None = None
        self._stubs: list[int] = []
        self._starts = 0
        self.credentials = Credentials()
        self.log = ServerLog(_log_path(settings) if keep_log else None, echo=settings.verbose)

    @property
    def address(self) -> str:
        """HOST:PORT of gRPC, as a client on this machine uses it."""
        return self.settings.address

    @property
    def pid(self) -> int:
        """Process id of tritonserver.

        Raises:
            ServeError: it was never started.
        """
        if self._child is None:
            raise ServeError("the server was not started", exit_status=1)
        return self._child.pid

    def stub_pids(self) -> list[int]:
        """Process ids of the stubs that run the models, without the server's own."""
        return [pid for pid in group_members(self.pid) if pid != self.pid]

    def lost_stub(self) -> bool:
        """Whether a model's process of a ready server has ended; Triton itself never restarts one."""
        return any(not is_running(pid) for pid in self._stubs)

    def poll(self) -> int | None:
        """Exit status of the server, negative for a signal; None while it runs."""
        return None if self._child is None else self._child.poll()

    def start(self) -> None:
        """Starts the server; `wait_ready` tells when it can be used.

        Raises:
            ServeError: no tritonserver, a port is taken, or the model repository cannot be rendered.
        """
        install = locate.find_triton()
        host = resolve_ipv4(self.settings.host)
        check_free(host, self.settings.grpc_port, "--grpc-port")
        if self.settings.metrics_port:
            check_free(resolve_ipv4(self.settings.metrics_host), self.settings.metrics_port, "--metrics-port")
        self.credentials = self._make_credentials()
        shm, files = self._leases()
        try:
            board.create(shm.path("board"))
        except OSError as error:
            raise ServeError(f"there is no room in {SHM_DIR}: {error.strerror}; make it larger (--shm-size)") from None
        scratch = files.path("files")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        folder = runtime_dir(self.settings.runtime_dir)
        paths = ServerPaths(
            binary=install.binary,
            backends=locate.prepare_backend_dir(install, scratch / "backends"),
            repository=self._repository(scratch),
        )
        command = server_command(self.settings, paths, shm.prefix, secrets.token_hex(16))
        command += client_authorities(self.settings, self.credentials, scratch)
        # The kernel ties the child to the thread that starts it, so only the main thread may ask for that.
        parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", launcher.__file__, str(parent), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={
                **model_environment(self.settings, self.credentials, folder, self._starts, shm.path("board")),
                **locate.server_environment(),
            },
            cwd=scratch,
            start_new_session=True,
            pass_fds=(shm.lock_fd, files.lock_fd),
        )
        self._starts += 1
        assert self._child.stdout is not None
        self.log.follow(self._child.stdout)

    def _make_credentials(self) -> Credentials:
        """Fresh ones for this start, in a file for health checks and drains."""
        keys_file = self.settings.keys_file
        if keys_file is not None:
            try:
                read_keys(keys_file)
            except KeysError as error:
                raise ServeError(f"--keys: {error.user_message}") from None
        made = Credentials.make(self.settings.tls, keys=keys_file is not None)
        made.save(self._credentials_file())
        return made

    def _credentials_file(self) -> Path:
        return credentials_file(runtime_dir(self.settings.runtime_dir), self.settings.grpc_port)

    def _leases(self) -> tuple[Lease, Lease]:
        if self._shm is None or self._files is None:
            for folder in (SHM_DIR, runtime_dir(self.settings.runtime_dir)):
                remove_abandoned(folder)
            self._shm, self._files = Lease(SHM_DIR), Lease(runtime_dir(self.settings.runtime_dir))
        return self._shm, self._files

    def _repository(self, scratch: Path) -> Path:
        if self._given_repository is not None:
            return self._given_repository
        from tritone_backend.triton.repository import ModelSettings, render_repository

        target = scratch / "repository"
        target.mkdir()
        chosen = self.settings
        render_repository(
            target,
            ModelSettings(
                model=str(chosen.model_dir),
                engine=chosen.engine,
                max_streams=chosen.max_streams,
                idle_timeout_s=chosen.idle_timeout_s,
                max_call_s=chosen.max_call_s,
                threads=chosen.threads,
                decoder=chosen.decoder,
                language_model=str(chosen.language_model or ""),
                final_deadline_ms=chosen.final_deadline_ms,
                partial_deadline_ms=chosen.partial_deadline_ms,
                instances=chosen.instances,
                engine_process="shared" if chosen.shares_engine else "own",
                admission=chosen.admission,
            ),
        )
        return target

    def wait_ready(
        self,
        timeout_s: float | None = None,
        on_wait: Callable[[float], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> float:
        """Waits until the speech model answers a real request.

        Args:
            timeout_s: seconds to wait; the settings' `start_timeout_s` by default.
            on_wait: called every few hundredths of a second with the seconds waited so far.
            cancelled: ends the waiting early when it turns true.

        Returns:
            Seconds waited.

        Raises:
            ServeError: the server ended (with the cause from its log), gave no answer in time, or waiting was
                cancelled.
        """
        limit = self.settings.start_timeout_s if timeout_s is None else timeout_s
        started = time.monotonic()
        last = "it does not listen yet"
        while True:
            waited = time.monotonic() - started
            if self.poll() is not None:
                raise ServeError(self.end_message(), exit_status=1)
            if cancelled():
                raise ServeError("stopped before the server was ready", exit_status=1)
            if waited > limit:
                raise ServeError(f"the server is not ready after {limit:g} s: {last}", exit_status=1)
            if accepts_connections(self.settings.local_host, self.settings.grpc_port):
                result = probe(self.address, min(PROBE_TIMEOUT_S, max(limit - waited, 1.0)), self.credentials)
                if result.alive:
                    self._stubs = self.stub_pids()
                    return time.monotonic() - started
                last = result.detail
                if result.hopeless:
                    raise ServeError(f"the model's process ended while starting: {last}", exit_status=1)
            if on_wait is not None:
                on_wait(waited)
            time.sleep(POLL_S)

    def end_message(self) -> str:
        """One line on why the server ended, from its own log."""
        self.log.join()
        return f"{failure_cause(self.log.lines())} (tritonserver {describe_status(self.poll())})"

    def signal(self, number: int) -> None:
        """Passes a signal to tritonserver alone: it ends its stubs itself."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def dump_flight_records(self) -> None:
        """Asks the models of a ready server for their flight records, beside its log or in $TRITONE_FLIGHT_DIR."""
        for pid in self._stubs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR2)

    def stop(self, timeout_s: float | None = None) -> int | None:
        """Ends the server in order, by force when it takes too long, and cleans up.

        Args:
            timeout_s: seconds before it is killed; by default its own exit timeout and some more.

        Returns:
            Its exit status; None when it was never started.
        """
        limit = self.settings.exit_timeout_s + 10.0 if timeout_s is None else timeout_s
        self.signal(signal.SIGTERM)
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(limit)
        return self.kill()

    def kill(self) -> int | None:
        """Ends server and stubs at once, removes their shared memory and folders.

        Returns:
            The server's exit status; None when it was never started.
        """
        status = self.end_group()
        for lease in (self._shm, self._files):
            if lease is not None:
                lease.close()
        self._shm = self._files = None
        if self.credentials.admin:
            self._credentials_file().unlink(missing_ok=True)
        return status

    def end_group(self) -> int | None:
        """Kills what is left of the process group and its shared memory; the object can `start` again.

        Returns:
            The server's exit status; None when it was never started.
        """
        if self._child is None:
            return None
        self._stubs = []
        deadline = time.monotonic() + KILL_WAIT_S
        signal_group(self._child.pid, signal.SIGKILL)
        status = self._child.wait(KILL_WAIT_S)
        while group_members(self._child.pid) and time.monotonic() < deadline:
            signal_group(self._child.pid, signal.SIGKILL)
            reap_group(self._child.pid)
            time.sleep(POLL_S / 5)
        reap_group(self._child.pid)
        self.log.join()
        if self._shm is not None:
            self._shm.remove_files()
        return status


def _log_path(settings: ServeSettings) -> Path | None:
    return None if settings.verbose else runtime_dir(settings.runtime_dir) / f"server-{settings.grpc_port}.log"
