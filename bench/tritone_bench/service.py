"""The service under test: one that runs already, or one started through `tritone serve` for the measurement."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tritone_bench import kserve
from tritone_bench.errors import ServiceError, UsageError
from tritone_bench.http2 import Http2Connection
from tritone_bench.reference import ask
from tritone_bench.usage import listening_process

START_TIMEOUT_S = 900.0
STOP_TIMEOUT_S = 30.0
PROGRESS_S = 5.0
_READY = "/inference.GRPCInferenceService/ModelReady"
_CONFIG = "/inference.GRPCInferenceService/ModelConfig"
_SERVER = "/inference.GRPCInferenceService/ServerMetadata"


@dataclass
class Service:
    """Where the service is and what can be seen of it.

    Attributes:
        host, port: of gRPC.
        metrics_url: of Prometheus metrics, empty when unknown.
        root: its process when it runs on this machine.
        started: the bench started it.
        ready_line: what `tritone serve` said when it was ready; engine and model are in it.
        stage_names: of the `timing` output, in order.
        parameters: of the model's configuration.
        version: name and version of the server.
    """

    host: str
    port: int
    metrics_url: str = ""
    root: psutil.Process | None = None
    started: bool = False
    ready_line: str = ""
    stage_names: list[str] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    version: str = ""

    @property
    def address(self) -> str:
        """host:port."""
        return f"{self.host}:{self.port}"


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; the port may be left out.

    Raises:
        UsageError: it is no address.
    """
    host, _, port = text.rpartition(":") if ":" in text else (text, "", "8001")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UsageError(f"--server {text!r} is not HOST:PORT")
    return host, int(port)


def is_local(host: str) -> bool:
    """Whether an address is this machine's loopback."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(address.startswith("127.") or address == "::1" for address in found)


def describe(host: str, port: int, metrics_port: int) -> Service:
    """Ask a running service what it is.

    Raises:
        ServiceError: nothing answers, or it does not serve `streaming_asr`.
    """
    # A request that only names a model looks the same for all three calls: field 1 is the name.
    model = kserve.named(kserve.MODEL)
    ready = _unary(host, port, _READY, model)
    if ready != b"\x08\x01":
        raise ServiceError(f"{host}:{port} answers but does not serve {kserve.MODEL}: is it a Tritone service?")
    service = Service(host, port)
    service.parameters = kserve.config_parameters(_unary(host, port, _CONFIG, model))
    service.stage_names = [name for name in service.parameters.get("timing_names", "").split(",") if name]
    about = [
        text.decode("utf-8", "replace")
        for number, text in kserve.fields(_unary(host, port, _SERVER, b""))
        if number < 3
    ]
    service.version = " ".join(about)
    service.metrics_url = f"http://{host}:{metrics_port}/metrics"
    if is_local(host):
        service.root = listening_process(port)
    return service


def _unary(host: str, port: int, method: str, message: bytes) -> bytes:
    connection: Http2Connection[None] = Http2Connection(host, port, method)
    try:
        answer = ask(connection, message, 10.0)
    finally:
        connection.close()
    if answer.status:
        raise ServiceError(f"{host}:{port} answers but is no Tritone service ({answer.message or answer.status})")
    return answer.payload


def is_listening(host: str, port: int) -> bool:
    """Whether anything accepts connections there."""
    try:
        socket.create_connection((host, port), 2.0).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def service_at(
    host: str, port: int, metrics_port: int, serve_options: Sequence[str], say: Callable[[str], None]
) -> Iterator[Service]:
    """The service at an address; when none runs there and it is this machine, one is started and ended here.

    Args:
        host: address of the service.
        port: its gRPC port.
        metrics_port: port of its metrics.
        serve_options: further options of `tritone serve` for a service that must be started.
        say: tells the user what happens.

    Raises:
        ServiceError: no service, and none can be started.
    """
    if is_listening(host, port):
        yield describe(host, port, metrics_port)
        return
    if not is_local(host):
        raise ServiceError(f"no service at {host}:{port}; start one there with 'tritone serve --host 0.0.0.0'")
    with _started(port, metrics_port, serve_options, say) as (process, ready_line):
        service = describe(host, port, metrics_port)
        service.root, service.started, service.ready_line = psutil.Process(process.pid), True, ready_line
        yield service


@contextlib.contextmanager
def _started(
    port: int, metrics_port: int, serve_options: Sequence[str], say: Callable[[str], None]
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    command = [str(Path(sys.executable).with_name("tritone")), "serve", *serve_options]
    command += ["--grpc-port", str(port), "--metrics-port", str(metrics_port)]
    if not Path(command[0]).exists():
        raise ServiceError("the command 'tritone' is not installed beside this Python; pip install 'tritone[server]'")
    say(f"no service at port {port}: starting '{' '.join(['tritone', *command[1:]])}'")
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        # A session of its own: Ctrl-C must reach the bench first, which then ends the service in good order.
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=err,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        try:
            yield process, _wait_ready(process, out.fileno(), err.fileno(), say)
        finally:
            _end(process)
            for line in _lines(err.fileno()):
                if "event=restart " in line:  # the run's numbers are not those of one service
                    say(f"the service was restarted under load: {line.removeprefix('tritone: ')}")


def _die_with_parent() -> None:
    """Runs in the child: the kernel ends the service when the bench is killed."""
    ctypes.CDLL(None).prctl(1, int(signal.SIGTERM), 0, 0, 0)  # PR_SET_PDEATHSIG


def _wait_ready(process: subprocess.Popen[bytes], out: int, err: int, say: Callable[[str], None]) -> str:
    begun = time.monotonic()
    told = begun
    while (now := time.monotonic()) - begun < START_TIMEOUT_S:
        ready = next((line for line in _lines(out) if line.startswith("tritone: ready")), None)
        if ready is not None:
            return ready
        if process.poll() is not None:
            complaint = (_lines(err) or ["it ended without a word"])[-1].removeprefix("tritone: ")
            raise ServiceError(f"no service runs and none could be started: {complaint}")
        if now - told > PROGRESS_S:
            told = now
            say(f"the service is loading, {now - begun:.0f} s")
        time.sleep(0.1)
    raise ServiceError(f"the service was not ready within {START_TIMEOUT_S:g} s")


def _lines(descriptor: int) -> list[str]:
    size = os.fstat(descriptor).st_size
    return [line for line in os.pread(descriptor, size, 0).decode("utf-8", "replace").splitlines() if line.strip()]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop what was started, gently first, and wait until nothing of it is left."""
    family = [psutil.Process(process.pid)] if process.poll() is None else []
    with contextlib.suppress(psutil.Error):
        family += family[0].children(recursive=True) if family else []
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
    _, alive = psutil.wait_procs(family, timeout=2.0)
    for survivor in alive:
        with contextlib.suppress(psutil.Error):
            survivor.kill()
    process.wait(5.0)
