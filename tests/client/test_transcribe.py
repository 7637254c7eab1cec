"""`tritone transcribe` and `tritone listen` from their arguments to what they print, against the fake service."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tritone_client.cli.main import main

from tests.client.fake_service import FakeService, listen
from tests.client.transcribed import CALL, CALL_TEXT, pcm, ulaw, write

pytestmark = pytest.mark.unit


def test_text(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", ulaw(tmp_path / "call.ulaw")]) == 0
    printed = capsys.readouterr()
    assert printed.out == CALL_TEXT
    first, second = printed.err.splitlines()
    assert re.fullmatch(r"1 file: 3\.9 s of audio in \d+\.\d s, real-time factor 0\.\d{3}", first)
    assert re.fullmatch(
        r"2 requests of up to 3 s, answered in: p50 [\d.]+, p95 [\d.]+, p99 [\d.]+, max [\d.]+ ms", second
    )


def test_several_files_in_order(
    server: str, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first file is the longest, so it is done last; its text still comes first."""
    files = [ulaw(tmp_path / f"{n}.ulaw", (n, 30.0 / n), (0, 1)) for n in (1, 2, 3, 4, 5)]
    assert main(["transcribe", *files, "--jobs", "3", "--quiet"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "".join(f"# {file}\n{n}\n" for n, file in enumerate(files, 1))
    assert printed.err == ""
    assert len({request.sequence_id for request in service.requests[:6]}) == 3, "three at once"


def test_more_jobs_than_slots(
    server: str, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.max_streams = 1
    files = [ulaw(tmp_path / f"{n}.ulaw", (n, 2.0)) for n in (1, 2, 3)]
    assert main(["transcribe", *files, "--wait", "0"]) == 0
    assert capsys.readouterr().out == "".join(f"# {file}\n{n}\n" for n, file in enumerate(files, 1))


def test_full_service(server: str, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service.max_streams = 0
    assert main(["transcribe", ulaw(tmp_path / "call.ulaw"), "--wait", "0"]) == 1
    assert capsys.readouterr().err == f"tritone: {tmp_path}/call.ulaw: no free slot: try again in 2 s\n"


def test_json_lines(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = ulaw(tmp_path / "call.ulaw")
    assert main(["transcribe", path, "--format", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["type"], line["text"]) for line in lines] == [
        ("partial", "7"),
        ("partial", "7 8"),
        ("final", "7 8"),
        ("partial", "9"),
        ("final", "9"),
    ]
    assert [line for line in lines if line["type"] == "final"] == listen(CALL, encoding="mulaw")
    assert main(["transcribe", path, "--format", "jsonl", "--no-partials"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_subtitles_into_a_folder(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [ulaw(tmp_path / name) for name in ("a.ulaw", "b.ulaw")]
    out = tmp_path / "new" / "subtitles"
    assert main(["transcribe", *files, "--format", "srt", "--output", f"{out}/"]) == 0
    srt = "1\n00:00:00,480 --> 00:00:02,010\n7 8\n\n2\n00:00:03,180 --> 00:00:03,900\n9\n\n"
    assert (out / "a.srt").read_text() == (out / "b.srt").read_text() == srt
    assert main(["transcribe", files[0], "--format", "vtt", "--output", str(out)]) == 0
    vtt = "WEBVTT\n\n00:00:00.480 --> 00:00:02.010\n7 8\n\n00:00:03.180 --> 00:00:03.900\n9\n\n"
    assert (out / "a.vtt").read_text() == vtt
    assert main(["transcribe", files[0], "--output", str(tmp_path / "one.txt")]) == 0
    assert (tmp_path / "one.txt").read_text() == CALL_TEXT
    assert capsys.readouterr().out == ""


def test_outputs_that_cannot_be(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = ulaw(tmp_path / "a.ulaw"), ulaw(tmp_path / "b.ulaw")
    assert main(["transcribe", one, two, "--format", "srt"]) == 2
    assert "name a folder" in capsys.readouterr().err
    assert main(["transcribe", one, "--output", "/nowhere/at/all.txt"]) == 2
    assert "cannot write /nowhere/at/all.txt: no such file" in capsys.readouterr().err
    (tmp_path / "x").mkdir()
    assert main(["transcribe", one, ulaw(tmp_path / "x" / "a.ulaw"), "--output", str(tmp_path)]) == 2
    assert "two inputs are called a.ulaw" in capsys.readouterr().err


def test_no_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = [ulaw(tmp_path / f"{n}.ulaw") for n in range(3)]
    began = time.monotonic()
    assert main(["transcribe", *files, "--server", f"127.0.0.1:{port}"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith(f"tritone: no answer from 127.0.0.1:{port}")
    assert "tritone serve" in line
    assert time.monotonic() - began < 3


def test_realtime_keeps_the_pace(
    server: str, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    assert main(["transcribe", ulaw(tmp_path / "a.ulaw", (5, 1.0)), "--realtime"]) == 0
    assert 1.0 <= time.monotonic() - began < 1.6
    assert [len(request.audio) for request in service.requests] == [0, 2400, 2400, 2400, 800, 0]
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"4 chunks of 300 ms, latency after the last sample: p50 \d+\.\d, .* ms, 0 later than 300 ms", line)


@pytest.mark.parametrize("command", [["transcribe", "-"], ["listen", "--stdin"]])
def test_a_pipe(
    server: str,
    service: FakeService,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    read, write_end = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(read))

    def speak() -> None:
        with os.fdopen(write_end, "wb", buffering=0) as pipe:
            for first in range(0, len(CALL), 999):
                pipe.write(CALL[first : first + 999])

    thread = threading.Thread(target=speak)
    thread.start()
    assert main([*command, "--encoding", "mulaw", "--quiet"]) == 0
    thread.join()
    assert capsys.readouterr().out == CALL_TEXT
    assert all(len(request.audio) % 2400 == 0 for request in service.requests[:-2])
    sys.stdin.close()


def test_a_file_through_a_pipe(
    server: str,
    service: FakeService,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write(tmp_path / "a.flac", pcm((7, 2)), 8000)
    for redirected in (False, True):
        service.requests.clear()
        with path.open("rb") as file:
            feeder = subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE)
        assert feeder.stdout
        stdin = path.open() if redirected else io.TextIOWrapper(feeder.stdout)
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(["transcribe", "-", "--quiet"]) == 0
        feeder.kill()
        feeder.wait()
        feeder.stdout.close()
        stdin.close()
        assert capsys.readouterr().out == "7\n"
        assert b"".join(request.audio for request in service.requests) == pcm((7, 2)).tobytes()


@pytest.mark.parametrize("redirected", [b"", None])
def test_empty_stdin(
    server: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    redirected: bytes | None,
) -> None:
    if redirected is None:
        read, write_end = os.pipe()
        os.close(write_end)
        stdin = os.fdopen(read)
    else:
        (tmp_path / "empty").write_bytes(redirected)
        stdin = (tmp_path / "empty").open()
    with stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(["transcribe", "-"]) == 1
    assert capsys.readouterr().err == "tritone: standard input is empty\n".replace(
        "input is", "input: is" if redirected is not None else "input is"
    )


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_person_watches(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    assert main(["transcribe", ulaw(tmp_path / "a.ulaw", (5, 1.0)), "--realtime"]) == 0
    assert capsys.readouterr().out == "5\n"
    drawn = screen.getvalue()
    assert "a.ulaw  [######..............]  0:00/0:01  5" in drawn
    assert "\r\x1b[K" in drawn, "and the line is taken away at the end"


def test_interrupted(server: str, service: FakeService, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tritone_client.cli.main", "transcribe", "--realtime", "--server", server]
    process = subprocess.Popen([*command, ulaw(tmp_path / "a.ulaw", (5, 60.0))], stderr=subprocess.PIPE, text=True)
    while len(service.requests) < 3:
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=10)
    assert process.returncode == 130
    assert printed.splitlines()[0] == "interrupted"
    assert "Traceback" not in printed
    assert not service.streams, "the slot is free again"


def test_listening_ends_with_the_last_phrase_on_interrupt(server: str, service: FakeService) -> None:
    command = [sys.executable, "-m", "tritone_client.cli.main", "listen", "--stdin", "--encoding", "mulaw"]
    process = subprocess.Popen(
        [*command, "--server", server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    process.stdin.write(CALL[:12000])
    process.stdin.flush()
    while len(service.requests) < 2:
        time.sleep(0.02)
        assert process.poll() is None
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, b"7 8\n"), errors.decode()
    assert b"Traceback" not in errors


def test_a_lost_service_is_mentioned(
    server: str, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.fault = lambda number, request: "restarted" if number == 2 else None
    assert main(["transcribe", ulaw(tmp_path / "a.ulaw")]) == 0
    printed = capsys.readouterr()
    assert printed.out == CALL_TEXT
    assert "resumed" in printed.err
