from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException
from tritone_backend.serve.ports import free_ports
from tritone_backend.serve.probe import probe
from tritone_backend.serve.procs import group_members, is_running

from tests.serve.echo_repository import write_repository
from tests.serve.shared_memory import prefix_of, regions

pytestmark = [pytest.mark.triton, pytest.mark.timeout(120)]

PROGRAM = """
import sys
from pathlib import Path
from tritone_backend.serve import ServeError, ServeSettings, restarts
from tritone_backend.serve.supervisor import Supervisor
repository, run, grpc_port, metrics_port = sys.argv[1:]
restarts.FIRST_DELAY_S, restarts.MAX_DELAY_S = 0.05, 0.1
settings = ServeSettings(
    model_dir=Path("/models/tiny"), grpc_port=int(grpc_port), metrics_port=int(metrics_port),
    runtime_dir=Path(run), exit_timeout_s=2, max_streams=64,
)
try:
    status = Supervisor(settings, Path(repository), probe_interval_s=0.3, probe_timeout_s=1.0).run()
except ServeError as error:
    sys.exit(f"tritone: {error.user_message}")
sys.exit(status)
"""


class Supervised:
    """`tritone serve` over the echo model, in a process of its own."""

    def __init__(self, folder: Path, behaviour: str = "echo") -> None:
        self.repository = write_repository(folder / "repository", behaviour)
        grpc_port, metrics_port = free_ports(2)
        self.address = f"127.0.0.1:{grpc_port}"
        self.run = folder / "run"
        self.log = self.run / f"server-{grpc_port}.log"
        arguments = [PROGRAM, str(self.repository), str(self.run), str(grpc_port), str(metrics_port)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = []
        for stream, kept in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            reader = threading.Thread(target=lambda s=stream, k=kept: k.extend(s), daemon=True)
            reader.start()
            self._readers.append(reader)

    def line(self, lines: list[str], pattern: str, seconds: float = 20.0) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in list(lines):
                if re.search(pattern, line):
                    return line
            time.sleep(0.02)
        raise AssertionError(f"no line {pattern!r}; stdout {self.out}, stderr {self.err}")

    def server_pid(self) -> int:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return next(int(pid) for pid in children if "tritonserver" in Path(f"/proc/{pid}/comm").read_text())

    def send(self, audio: bytes) -> str:
        with triton.InferenceServerClient(self.address) as client:
            tensor = triton.InferInput("audio", [1, len(audio)], "UINT8")
            tensor.set_data_from_numpy(np.frombuffer(audio, np.uint8)[None])
            try:
                options = {"sequence_id": 5, "sequence_start": True, "sequence_end": True, "client_timeout": 2}
                client.infer("streaming_asr", [tensor], **options)
            except InferenceServerException as error:
                return str(error)
        return ""

    def finish(self, seconds: float = 20.0) -> int:
        status = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(5)
        return status


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.fixture
def supervised(tmp_path):
    started: list[Supervised] = []

    def start(behaviour: str = "echo") -> Supervised:
        started.append(Supervised(tmp_path / str(len(started)), behaviour))
        return started[-1]

    yield start
    for one in started:
        one.process.terminate()  # in order, so that nothing is left for the next test
        try:
            one.process.wait(15)
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait(10)
        for stream in (one.process.stdout, one.process.stderr):
            if stream is not None:
                stream.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_line_says_it_is_ready_and_a_signal_ends_it_in_order(supervised, number):
    one = supervised()
    line = one.line(one.out, "ready")
    assert re.fullmatch(
        rf"tritone: ready on grpc://{re.escape(one.address)} \(metrics http://127\.0\.0\.1:\d+/metrics\), "
        r"model tiny, engine echo, 64 slots, \d+\.\d s\n",
        line,
    )
    assert probe(one.address).alive
    group = one.server_pid()
    prefix = prefix_of(group)
    one.process.send_signal(number)
    assert one.finish() == 0
    assert regions(prefix) == []
    assert len(one.out) == 1
    assert one.err == []
    assert group_members(group) == []
    assert [path.name for path in one.run.iterdir()] == [one.log.name]
    assert "Started GRPCInferenceService" in one.log.read_text()


def test_a_second_signal_does_not_wait(supervised):
    one = supervised()
    one.line(one.out, "ready")
    group = one.server_pid()
    sender = threading.Thread(target=one.send, args=(b"HANG",))
    sender.start()
    time.sleep(0.5)
    one.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    started = time.monotonic()
    one.process.send_signal(signal.SIGTERM)
    assert one.finish() == 128 + signal.SIGKILL
    assert time.monotonic() - started < 3
    assert group_members(group) == []
    sender.join(5)


def test_a_killed_server_is_started_again(supervised):
    one = supervised()
    one.line(one.out, "ready")
    first = one.server_pid()
    prefix = prefix_of(first)
    os.kill(first, signal.SIGKILL)
    restart = one.line(one.err, "event=restart")
    assert 'reason=server-died attempt=1 delay_s=0.05 status="signal SIGKILL"' in restart
    one.line(one.err, "event=ready attempt=1")
    second = one.server_pid()
    assert second != first
    assert prefix_of(second) == prefix
    assert len(regions(prefix)) == 3  # those of the killed server are gone
    assert group_members(first) == []
    assert probe(one.address).alive
    assert len(one.out) == 1


def test_a_dead_model_process_is_noticed_at_once_though_triton_says_ready(supervised):
    one = supervised()
    one.line(one.out, "ready")
    one.send(b"DIE")
    assert "reason=model-process-died" in one.line(one.err, "event=restart", 3)
    one.line(one.err, "event=ready")
    assert one.send(b"again") == ""


def test_a_model_that_hangs_is_restarted_after_three_probes(supervised):
    one = supervised()
    one.line(one.out, "ready")
    one.send(b"HANG")
    assert "reason=no-answer" in one.line(one.err, "event=restart", 15)
    assert sum("event=probe-failed" in line for line in one.err) == 3
    one.line(one.err, "event=ready")
    assert probe(one.address).alive


def test_a_hang_of_the_acoustic_model_alone_is_noticed_too(supervised):
    one = supervised("both")
    one.line(one.out, "ready")
    stubs = [pid for pid in group_members(one.server_pid()) if b"/streaming_acoustic/" in command_line(pid)]
    assert len(stubs) == 1
    os.kill(stubs[0], signal.SIGSTOP)
    restart = one.line(one.err, "event=restart", 20)
    # Our probe's time limit, or Triton's own look at the process where that comes first.
    assert "reason=no-answer" in restart or "is not healthy" in restart
    assert 'detail="streaming_acoustic: ' in restart
    one.line(one.err, "event=ready")
    assert probe(one.address).alive
    assert probe(one.address, model="streaming_acoustic").alive


def test_a_server_that_never_comes_back_is_given_up_with_the_cause(supervised):
    one = supervised()
    one.line(one.out, "ready")
    model = one.repository / "streaming_asr" / "1" / "model.py"
    model.write_text(model.read_text().replace("BEHAVIOUR = 'echo'", "BEHAVIOUR = 'refuse'"))
    os.kill(one.server_pid(), signal.SIGKILL)
    assert one.finish(60) == 1
    assert sum("event=restart" in line for line in one.err) == 8
    last = one.err[-1]
    assert last.startswith("tritone: given up after 8 restarts")
    assert "engine tensorrt needs a GPU" in last
    assert str(one.log) in last


def test_a_model_that_does_not_load_at_first_is_not_tried_again(supervised):
    one = supervised("refuse")
    assert one.finish() == 1
    assert one.out == []
    assert one.err == [
        "tritone: model streaming_asr did not load: engine tensorrt needs a GPU; choose another with --engine "
        "(tritonserver exit status 1)\n"
    ]


def test_a_signal_while_loading_ends_it(supervised):
    one = supervised("slow")
    time.sleep(1.5)
    group = one.server_pid()
    one.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    one.process.send_signal(signal.SIGINT)
    one.finish(10)
    assert one.out == []
    assert group_members(group) == []


def test_the_server_dies_with_a_killed_supervisor(supervised):
    one = supervised()
    one.line(one.out, "ready")
    prefix = prefix_of(one.server_pid())
    members = group_members(one.server_pid())
    assert len(members) == 2
    one.process.kill()
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in members) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in members if is_running(pid)] == []
    again = supervised()
    again.line(again.out, "ready")
    assert regions(prefix) == []  # the next start removes what the killed one left


def test_a_taken_port_is_refused_before_the_start(supervised, tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        arguments = [PROGRAM, str(tmp_path), str(tmp_path / "run"), str(port), "1"]
        ran = subprocess.run(
            [sys.executable, "-c", *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    assert ran.returncode == 1
    assert ran.stderr == (
        f"tritone: port {port} on 127.0.0.1 is in use; stop what listens there or choose another with --grpc-port\n"
    )
