"""Keeps one server answering: readiness line, watchdog, restarts, signals. What `tritone serve` runs.

How a process is started and ended is `process`, when it is started again is `restarts`.
"""

from __future__ import annotations

import dataclasses
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from tritone_backend.serve.drain import drain
from tritone_backend.serve.errors import ServeError
from tritone_backend.serve.probe import ACOUSTIC, ASR, ProbeResult, probe
from tritone_backend.serve.process import ServerProcess
from tritone_backend.serve.procs import adopt_orphans, describe_status
from tritone_backend.serve.restarts import HEALTHY_S, MAX_RAPID_FAILURES, RestartPolicy
from tritone_backend.serve.serverlog import failure_cause, significant_lines
from tritone_backend.serve.settings import ServeSettings

PROBE_INTERVAL_S = 5.0
PROBE_TIMEOUT_S = 10.0
MAX_FAILED_PROBES = 3
PROGRESS_S = 10.0
TICK_S = 0.2
DRAINED_EXIT_S = 6.0


class Supervisor:
    """Runs a server until it is told to stop or cannot be kept alive. For the main thread.

    Args:
        settings: the operator's choices.
        repository: a ready model repository; by default one is rendered from the settings.
        probe_interval_s: seconds between two watchdog probes.
        probe_timeout_s: seconds until a probe counts as failed.
        out: writes a line for the operator to stdout.
        err: writes a line to stderr.
    """

    def __init__(
        self,
        settings: ServeSettings,
        repository: Path | None = None,
        *,
        probe_interval_s: float = PROBE_INTERVAL_S,
        probe_timeout_s: float = PROBE_TIMEOUT_S,
        out: Callable[[str], None] | None = None,
        err: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._server = ServerProcess(settings, repository)
        self._models = [ASR, ACOUSTIC] if repository is None else sorted(entry.name for entry in repository.iterdir())
        self._interval_s = probe_interval_s
        self._timeout_s = probe_timeout_s
        self._out = out or (lambda line: print(line, flush=True))  # noqa: T201
        self._err = err or (lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201
        self._policy = RestartPolicy()
        self._asked = threading.Event()
        self._signals = 0
        self._ready_at: float | None = None

    def run(self) -> int:
        """Serves until a signal ends it.

        Returns:
            The exit status for the shell: the server's own, 128 + n when signal n ended it.

        Raises:
            ServeError: the server cannot be started, or failed too often.
        """
        adopt_orphans()
        handled = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asks to outlive the terminal
            handled.append(signal.SIGHUP)
        previous = {number: signal.signal(number, self._on_signal) for number in handled}
        previous[signal.SIGUSR2] = signal.signal(signal.SIGUSR2, lambda *_: self._server.dump_flight_records())
        try:
            self._start(first=True)
            while not self._asked.is_set():
                reason, detail = self._watch()
                if self._asked.is_set():
                    break
                self._restart(reason, detail)
            return self._stopped()
        except ServeError:
            if self._asked.is_set():
                return self._stopped()
            raise
        finally:
            self._server.kill()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        self._asked.set()
        # The first signal begins an ordered end, the second one does not wait for it.
        if self._signals > 1:
            self._server.signal(signal.SIGKILL)
        elif self._ready_at is None:
            self._server.signal(signal.SIGTERM)

    def _stopped(self) -> int:
        """The ordered end that the signal asked for: running streams finish or move, then the server ends."""
        drained = self._ready_at is not None and not self._gone() and self._drain()
        self._server.signal(signal.SIGTERM)
        # Triton waits for sequences that were refused or forsaken as well; of a drained server nobody expects a word.
        deadline = time.monotonic() + (DRAINED_EXIT_S if drained else self._settings.exit_timeout_s + 10.0)
        while not self._gone() and time.monotonic() < deadline:
            time.sleep(TICK_S / 4)
        status = self._server.end_group()
        if status is None or (drained and self._signals < 2):
            return 0
        return status if status >= 0 else 128 - status

    def _gone(self) -> bool:
        """Whether there is nothing to wait for: the server has ended, or a second signal ends it."""
        return self._server.poll() is not None or self._signals > 1

    def _drain(self) -> bool:
        """Empties the server; whether it answered."""
        limit_s = self._settings.drain_timeout_s
        said = False

        def on_wait(live: int, _waited_s: float) -> None:
            nonlocal said
            if not said:
                self._event("draining", streams=live, timeout_s=f"{limit_s:g}", detail="a second signal ends them now")
            said = True

        try:
            result = drain(self._server.address, self._server.credentials, limit_s, on_wait, self._gone)
        except ServeError as error:  # it does not answer: then there is nothing to be kept
            self._event("drain-failed", detail=error.user_message)
            return False
        if said:
            self._event("drained", emptied=result.emptied, moved=result.ended, seconds=f"{result.seconds:.1f}")
        return True

    def _start(self, *, first: bool) -> None:
        started = time.monotonic()
        self._ready_at = None
        self._server.start()
        progress = _Progress(self._err, self._server)
        self._server.wait_ready(on_wait=progress, cancelled=self._asked.is_set)
        self._ready_at = time.monotonic()
        taken = self._ready_at - started
        if first:
            self._out(self.ready_line(taken))
        else:
            self._event("ready", attempt=self._policy.failures, seconds=f"{taken:.1f}")

    def ready_line(self, seconds: float) -> str:
        """What is printed once when the server can be used.

        Args:
            seconds: how long the start took.
        """
        settings, told = self._settings, self._server.log.announced()
        engine = told.get("engine", settings.engine)
        return (
            f"tritone: ready on {settings.grpc_url} (metrics {settings.metrics_url or 'off'}), "
            f"model {settings.model_name}, engine {engine}, {settings.max_streams} slots, {seconds:.1f} s"
        )

    def _watch(self) -> tuple[str, str]:
        """Probes until the server fails or a stop is asked for.

        Returns:
            Reason (a word) and detail of the failure.
        """
        failed = 0
        next_probe = time.monotonic() + self._interval_s
        while not self._asked.wait(TICK_S):
            if self._server.poll() is not None:
                return "server-died", self._server.end_message()
            if self._server.lost_stub():
                return "model-process-died", "a model's process ended"
            if time.monotonic() < next_probe:
                continue
            result = self._probe()
            if self._asked.is_set() or self._server.poll() is not None:
                continue
            failed = 0 if result.alive else failed + 1
            if result.hopeless:
                return "model-process-died", result.detail
            if failed:
                self._note_failed_probe(failed, result)
            if failed >= MAX_FAILED_PROBES:
                return "no-answer", result.detail
            next_probe = time.monotonic() + self._interval_s
        return "stop", ""

    def _probe(self) -> ProbeResult:
        """Asks every model; the first one that fails speaks for all."""
        for model in self._models:
            result = probe(self._server.address, self._timeout_s, self._server.credentials, model)
            if not result.alive:
                return dataclasses.replace(result, detail=f"{model}: {result.detail}")
        return result

    def _note_failed_probe(self, failed: int, result: ProbeResult) -> None:
        self._event("probe-failed", count=f"{failed}/{MAX_FAILED_PROBES}", detail=result.detail)

    def _restart(self, reason: str, detail: str) -> None:
        """Ends the failed server and starts it again until it is ready, to be stopped or given up."""
        while not self._asked.is_set():
            healthy = time.monotonic() - self._ready_at if self._ready_at is not None else 0.0
            status = self._server.poll()
            self._server.end_group()
            delay = self._policy.failed(healthy)
            if delay is None:
                raise ServeError(self._surrender(), exit_status=1)
            self._event(
                "restart",
                reason=reason,
                attempt=self._policy.failures,
                delay_s=f"{delay:g}",
                status=describe_status(status),
                detail=detail,
            )
            if self._asked.wait(delay):
                return
            try:
                self._start(first=False)
            except ServeError as error:
                reason, detail = "start-failed", error.user_message
                self._ready_at = None
            else:
                return

    def _surrender(self) -> str:
        """The last word on a server that will not live: what matters of its log, on stderr, and one line."""
        lines = self._server.log.lines()
        for line in significant_lines(lines):
            self._err(f"  {line}")
        where = f"; its log: {self._server.log.path}" if self._server.log.path else ""
        return (
            f"given up after {MAX_RAPID_FAILURES} restarts without {HEALTHY_S:g} s of health: "
            f"{failure_cause(lines)}{where}"
        )

    def _event(self, event: str, **fields: object) -> None:
        """One line for people and log collectors alike: key=value, text in quotes."""
        shown = " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._err(f"tritone: time={stamp} event={event} {shown}")


class _Progress:
    """Says every 10 s that the server is still loading."""

    def __init__(self, err: Callable[[str], None], server: ServerProcess) -> None:
        self._err = err
        self._server = server
        self._next_s = PROGRESS_S

    def __call__(self, waited_s: float) -> None:
        if waited_s < self._next_s:
            return
        self._next_s += PROGRESS_S
        lines = [line for line in self._server.log.lines() if not line.startswith(("+", "|"))]
        self._err(f"tritone: loading, {waited_s:.0f} s: {failure_cause(lines[-1:])[:120]}")


def _quoted(value: object) -> str:
    text = str(value)
    if text and not any(character in text for character in ' "='):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', "'") + '"'
