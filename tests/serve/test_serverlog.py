from __future__ import annotations

import io
import os
import threading
import time

import pytest
from tritone_backend.serve import serverlog
from tritone_backend.serve.serverlog import ServerLog, failure_cause, significant_lines

pytestmark = pytest.mark.unit

INFO = 'I1122 19:04:20.566656 5609 model_lifecycle.cc:472] "loading: streaming_asr:1"'
REFUSED = (
    "E1122 19:04:23.500000 5700 model_lifecycle.cc:642] \"failed to load 'streaming_asr' version 1: Internal: "
    "RuntimeError: engine tensorrt needs a GPU; choose another with --engine"
    '\\n\\nAt:\\n  /x/model.py(11): initialize\\n"'
)
STUB_DIED = (
    "E1122 19:04:25.1 5700 model_lifecycle.cc:642] \"failed to load 'streaming_asr' version 1: Internal: "
    "Stub process 'streaming_asr_0_0' is not healthy.\""
)
FOLLOWING = "error: creating server: Internal - failed to load all models"
PORT = "E1122 1 2 main.cc:1] \"failed to start GRPC service: Unavailable - Socket '127.0.0.1:8001' already in use \""
TABLE = "| streaming_asr | 1 | UNAVAILABLE |"


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (
            [INFO, REFUSED, TABLE, FOLLOWING],
            "model streaming_asr did not load: engine tensorrt needs a GPU; choose another with --engine",
        ),
        (
            [INFO, "ImportError: no libfoo", STUB_DIED, FOLLOWING],
            "model streaming_asr did not load: its process ended: ImportError: no libfoo",
        ),
        ([INFO, STUB_DIED], "model streaming_asr did not load: its process ended: it said nothing"),
        (
            [INFO, PORT, FOLLOWING],
            "failed to start GRPC service: Unavailable - Socket '127.0.0.1:8001' already in use",
        ),
        ([INFO, FOLLOWING], FOLLOWING),
        ([INFO], "loading: streaming_asr:1"),
        ([], "it said nothing"),
    ],
)
def test_the_cause_of_a_failure_is_one_telling_line(lines, cause):
    assert failure_cause(lines) == cause


def test_significant_lines_leave_out_information_and_tables():
    assert significant_lines([INFO, TABLE, "Traceback", REFUSED]) == ["Traceback", REFUSED]
    assert len(significant_lines(["x"] * 50, count=5)) == 5


def feed(log: ServerLog, text: str) -> None:
    log.follow(io.BytesIO(text.encode()))
    log.join()


def test_the_log_keeps_what_matters_and_learns_the_engine(tmp_path):
    log = ServerLog(tmp_path / "server.log")
    told = (
        'I1 1 1 service.py:1] "tritone: streaming_asr serves T-one (small) on onnxruntime (runs everywhere), 256 slots"'
    )
    feed(log, f"W1 1 1 x.cc:1] CudaDriverHelper has not been initialized.\n{told}\n\n{FOLLOWING}")
    assert log.lines() == [told, FOLLOWING]
    assert log.announced() == {
        "model": "T-one (small)",
        "engine": "onnxruntime",
        "reason": "runs everywhere",
    }
    assert (tmp_path / "server.log").read_text() == f"{told}\n{FOLLOWING}\n"


def test_the_file_is_capped_with_one_older_part(tmp_path, monkeypatch):
    monkeypatch.setattr(serverlog, "MAX_FILE_BYTES", 1000)
    path = tmp_path / "server.log"
    feed(ServerLog(path), "".join(f"line {number:03d}\n" for number in range(300)))
    assert path.stat().st_size <= 1000
    assert (tmp_path / "server.log.1").stat().st_size <= 1000
    assert path.read_text().endswith("line 299\n")


def test_a_full_disk_does_not_stop_the_reading(tmp_path):
    log = ServerLog(tmp_path / "missing-folder" / "server.log")
    feed(log, "one\ntwo\n")
    assert log.lines() == ["one", "two"]


def test_verbose_repeats_the_log_on_stderr(capsys):
    feed(ServerLog(None, echo=True), "hello\n")
    assert capsys.readouterr().err == "hello\n"


def test_a_disk_that_stands_still_does_not_hold_up_the_server(tmp_path, monkeypatch):
    """The pipe is emptied whatever the file does, and the file says how much it lacks."""
    monkeypatch.setattr(serverlog, "WAITING_LINES", 100)
    log = ServerLog(tmp_path / "server.log")
    go_on = threading.Event()
    write = log._write
    monkeypatch.setattr(log, "_write", lambda data, path: (go_on.wait(10), write(data, path)))
    read_end, write_end = os.pipe()
    log.follow(os.fdopen(read_end, "rb"))
    began = time.monotonic()
    with os.fdopen(write_end, "wb") as pipe:
        for number in range(5000):  # far more than a pipe holds
            pipe.write(b"line %d of a server that must go on\n" % number)
    assert time.monotonic() - began < 3
    log._thread.join(5)
    assert log.lines()[-1].startswith("line 4999")
    go_on.set()
    log.join(10)
    kept = (tmp_path / "server.log").read_text().splitlines()
    assert 100 <= len(kept) < 1000
    assert any("lines of the server are missing here" in line for line in kept)
