"""Two supervised tritonservers with the default model, a proxy before each, and what can be done to them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import psutil
from tritone_backend.models.registry import find_model
from tritone_backend.serve.ports import free_ports
from tritone_backend.triton.repository import ModelSettings, render_repository

from tests.chaos.obedient import MODEL, order
from tests.chaos.proxy import Proxy

ROOT = Path(__file__).resolve().parents[2]
SLOTS, IDLE_S = 8, 3.0
PROGRAM = """
import sys
from pathlib import Path
from tritone_backend.serve import ServeError, ServeSettings, restarts
from tritone_backend.serve.supervisor import Supervisor
repository, run, grpc_port, metrics_port, model, slots, idle, host = sys.argv[1:]
restarts.FIRST_DELAY_S = restarts.MAX_DELAY_S = 0.2
restarts.MAX_RAPID_FAILURES = 1000
settings = ServeSettings(
    model_dir=Path(model), host=host, grpc_port=int(grpc_port), metrics_port=int(metrics_port), runtime_dir=Path(run),
    exit_timeout_s=2, max_streams=int(slots), idle_timeout_s=float(idle), drain_timeout_s=2.0,
)
try:
    status = Supervisor(settings, Path(repository), probe_interval_s=1.0, probe_timeout_s=2.0).run()
except ServeError as error:
    sys.exit(f"tritone: {error.user_message}")
sys.exit(status)
"""


class Served:
    """`tritone serve` over the real model, with an engine that can be told to fail, behind a proxy.

    Attributes:
        prefix: what the command is run under.
        host: address that it listens on.
    """

    prefix: tuple[str, ...] = ()
    host = "127.0.0.1"

    def __init__(self, folder: Path, final_deadline_ms: int = 2000, partial_deadline_ms: int = 10) -> None:
        self.folder = folder
        self.command = folder / "command"
        self.repository = folder / "repository"
        self.grpc_port, self.metrics_port = free_ports(2)
        self.proxy = Proxy(self.grpc_port)
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []
        render_repository(
            self.repository,
            ModelSettings(
                model=str(find_model("default")),
                engine="onnxruntime",
                max_streams=SLOTS,
                idle_timeout_s=IDLE_S,
                threads=1,
                admission="slots",
                final_deadline_ms=final_deadline_ms,  # words must not depend on how busy this machine is
                partial_deadline_ms=partial_deadline_ms,
            ),
        )
        model = MODEL.format(root=str(ROOT), command=str(self.command))
        (self.repository / "streaming_asr" / "1" / "model.py").write_text(model)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.proxy.port}"

    def start(self) -> None:
        """Start and wait until it is ready."""
        arguments = [str(self.repository), str(self.folder / "run"), str(self.grpc_port), str(self.metrics_port)]
        arguments += [str(find_model("default")), str(SLOTS), str(IDLE_S), self.host]
        command = [*self.prefix, sys.executable, "-c", PROGRAM, *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "ready" in line, line
        self.reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self.reader.start()

    def _read(self, stream) -> None:
        with stream:
            self.lines.extend(stream)

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(10)
        finally:
            self.reader.join(5)

    def server(self) -> psutil.Process:
        return next(p for p in self._family() if p.name() == "tritonserver")

    def stub(self, model: str) -> psutil.Process:
        return next(p for p in self._family() if "stub" in p.name() and f"/{model}/" in " ".join(p.cmdline()))

    def _family(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def metric(self, name: str, model: str = "streaming_asr") -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as page:
            found = re.findall(rf'^{name}\{{model="{model}"[^}}]*\}} (\S+)$', page.read().decode(), re.MULTILINE)
        return sum(map(float, found))


class World:
    """Both servers, for as long as the `async with` lasts."""

    async def __aenter__(self) -> World:
        self._folder = tempfile.TemporaryDirectory(prefix="tritone-chaos-")
        self.servers = [Served(Path(self._folder.name) / name) for name in ("one", "two")]
        for server in self.servers:
            await server.proxy.start()
            await asyncio.to_thread(server.start)
        return self

    async def __aexit__(self, *exc) -> None:
        for server in self.servers:
            if server.process is not None:
                await asyncio.to_thread(server.stop)
            await server.proxy.close()
        self._folder.cleanup()

    async def strike(self, fault: str, target: int, strength: float) -> None:
        """Do it, and undo what does not undo itself. Returns when the fault is over; recovery may take longer."""
        await getattr(self, "do_" + fault.replace("-", "_"))(self.servers[target], strength)

    async def do_server_killed(self, server: Served, strength: float) -> None:
        os.kill(server.server().pid, signal.SIGKILL)

    async def do_stub_killed(self, server: Served, strength: float) -> None:
        os.kill(server.stub("streaming_asr").pid, signal.SIGKILL)

    async def do_acoustic_stub_killed(self, server: Served, strength: float) -> None:
        os.kill(server.stub("streaming_acoustic").pid, signal.SIGKILL)

    async def do_stub_frozen(self, server: Served, strength: float) -> None:
        pid = server.stub("streaming_asr").pid
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(0.5 + strength)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    async def do_batch_failed(self, server: Served, strength: float) -> None:
        order(server.command, "fail 1")

    async def do_out_of_memory(self, server: Served, strength: float) -> None:
        order(server.command, f"oom {1 + int(3 * strength)}")

    async def do_engine_broken(self, server: Served, strength: float) -> None:
        order(server.command, "fail 1000000")

    async def do_engine_stalled(self, server: Served, strength: float) -> None:
        order(server.command, f"stall {0.4 + strength:.2f}")

    async def do_client_killed(self, server: Served, strength: float) -> None:
        await self._caller(server, signal.SIGKILL)

    async def do_client_frozen(self, server: Served, strength: float) -> None:
        """Longer than the server waits; then the client goes on, and is killed in the end."""
        await self._caller(server, signal.SIGSTOP, IDLE_S + 1.0)

    async def _caller(self, server: Served, number: int, pause_s: float = 0.0) -> None:
        caller = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "tests" / "service" / "caller.py"),
            server.address,
            "3",
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert caller.stdout is not None
            await asyncio.wait_for(caller.stdout.readline(), 20)
            caller.send_signal(number)
            await asyncio.sleep(pause_s)
            if number == signal.SIGSTOP:
                caller.send_signal(signal.SIGCONT)
                await asyncio.sleep(1.0)
        finally:
            with contextlib.suppress(ProcessLookupError):
                caller.kill()
            await caller.wait()

    async def do_half_open(self, server: Served, strength: float) -> None:
        server.proxy.freeze_present()

    async def do_network_cut(self, server: Served, strength: float) -> None:
        server.proxy.cut = True
        await asyncio.sleep(2.0 + 3.0 * strength)
        server.proxy.cut = False

    async def do_network_slow(self, server: Served, strength: float) -> None:
        server.proxy.delay_s = 0.05 + 0.2 * strength
        await asyncio.sleep(3.0)
        server.proxy.delay_s = 0.0

    async def do_rolling_restart(self, server: Served, strength: float) -> None:
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)

    async def do_overload(self, server: Served, strength: float) -> None:
        """Twice as many callers as there are slots left, for a while."""
        caller = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "tests" / "service" / "caller.py"),
            server.address,
            str(2 * SLOTS),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await asyncio.sleep(5.0)
        with contextlib.suppress(ProcessLookupError):
            caller.kill()
        await caller.wait()

    async def settled(self, within_s: float = 30.0) -> float:
        """Wait until both servers answer and hold no stream; seconds it took. Raises TimeoutError."""
        began = time.monotonic()
        while True:
            try:
                live = [await asyncio.to_thread(server.metric, "tritone_streams_live") for server in self.servers]
                ready = [await asyncio.to_thread(server.metric, "tritone_ready") for server in self.servers]
            except OSError:
                live, ready = [1.0], [0.0]
            if not any(live) and all(ready):
                return time.monotonic() - began
            if time.monotonic() - began > within_s:
                raise TimeoutError(f"live {live}, ready {ready} after {within_s:g} s")
            await asyncio.sleep(0.2)
