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
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tritone_client.cli.main import main

from tests.client.fake_server import serve_from_thread
from tests.client.fake_service import FakeService, listen, speech

pytestmark = pytest.mark.unit

CALL = speech((0, 0.5), (7, 0.9), (8, 0.6), (0, 1.2), (9, 0.7))
CALL_TEXT = "7 8\n9\n"


@pytest.fixture
def server(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serve_from_thread(service) as address:
        monkeypatch.setenv("TRITONE_SERVER", address)
        yield address


def ulaw(path: Path, *parts: tuple[int, float]) -> str:
    path.write_bytes(speech(*parts) if parts else CALL)
    return str(path)


def pcm(*parts: tuple[int, float], rate: int = 8000) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """The fake service takes the first byte of a sample for a word: so values below 128."""
    return np.frombuffer(speech(*parts, rate=rate, width=2), "<i2")


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


def write(path: Path, data: object, rate: int, **how: str) -> Path:
    soundfile.write(path, data, rate, **how)
    return path


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.wav": (lambda p: p.write_bytes(b""), "is empty"),
    "text.wav": (lambda p: p.write_text("Hello, this is no sound at all."), "is not audio that can be read; for raw"),
    "missing.wav": (lambda p: None, "no such file"),
    "folder.wav": (lambda p: p.mkdir(), "is a directory; name the files in it"),
    "fast.wav": (lambda p: write(p, pcm((1, 1)), 96000), "96000 Hz is outside the 8000 to 48000 Hz taken"),
    "slow.flac": (lambda p: write(p, pcm((1, 1)), 4000), "4000 Hz is outside"),
    "nothing.wav": (lambda p: write(p, pcm(), 8000), "holds no audio"),
    "header.wav": (lambda p: cut(write(p, pcm((1, 1)), 8000), 30), "is damaged or of a kind that cannot be read"),
    "cut.ogg": (lambda p: cut(write(p, pcm((1, 1)), 8000), 2000), "is damaged or of a kind that cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_line_and_the_others_go_on(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    make, message = BAD[name]
    make(tmp_path / name)
    good = ulaw(tmp_path / "good.ulaw")
    assert main(["transcribe", str(tmp_path / name), good, "--quiet"]) == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith(f"tritone: {tmp_path / name}: {message}")
    assert printed.out == f"# {good}\n{CALL_TEXT}"


TRUNCATED: dict[str, tuple[dict[str, str], str]] = {
    "cut.wav": ({}, r"ends early: \d\.\d s of audio where its header promises 4\.5 s"),
    "law.wav": ({"subtype": "ULAW"}, r"ends early: \d\.\d s of audio where its header promises 4\.5 s"),
    "cut.flac": ({}, r"is damaged after \d\.\d s \(.+\)"),
}


@pytest.mark.parametrize("name", TRUNCATED)
def test_truncated_files_are_used_as_far_as_they_go(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    how, message = TRUNCATED[name]
    noise = np.random.default_rng(1).integers(-99, 99, 30_000).astype("int16")
    path = write(tmp_path / name, np.concatenate([pcm((0, 0.75)), noise]), 8000, **how)
    cut(path, path.stat().st_size * 2 // 3)
    assert main(["transcribe", str(path), "--quiet"]) == 1
    printed = capsys.readouterr()
    assert re.fullmatch(f"tritone: {re.escape(str(path))}: {message}\n", printed.err)
    assert printed.out.strip(), "what was there is not thrown away"


@pytest.mark.parametrize(
    ("name", "how"),
    [("a.wav", {}), ("a.flac", {}), ("a.aiff", {}), ("f.wav", {"subtype": "FLOAT"}), ("b.wav", {"subtype": "PCM_24"})],
)
def test_lossless_files_arrive_unchanged(
    server: str, service: FakeService, tmp_path: Path, name: str, how: dict[str, str]
) -> None:
    samples = np.random.default_rng(2).integers(-32768, 32767, 70_001).astype("int16")
    data = samples / np.float32(32768) if how else samples
    write(tmp_path / name, data, 44100, **how)
    assert main(["transcribe", str(tmp_path / name), "--quiet"]) == 0
    sent = b"".join(request.audio for request in service.requests)
    assert sent == samples.astype("<i2").tobytes()
    assert service.requests[0].parameters["sample_rate"] == 44100
    assert {len(request.audio) for request in service.requests[1:-2]} <= {3 * 44100 * 2}, "3 s at a time"


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.opus"])
def test_lossy_files_are_read(server: str, service: FakeService, tmp_path: Path, name: str) -> None:
    how = {"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}
    tone = 0.3 * np.sin(np.arange(48_000 * 7) * 0.05)
    write(tmp_path / name, tone, 48000, **how)
    assert main(["transcribe", str(tmp_path / name), "--quiet"]) == 0
    sent = np.frombuffer(b"".join(request.audio for request in service.requests), "<i2")
    whole, _ = soundfile.read(tmp_path / name, dtype="float32")
    assert np.array_equal(sent, np.rint(whole * 32768)), "read in blocks, and yet the same"
    assert 0.2 < np.sqrt(np.mean((sent / 32768) ** 2)) < 0.22


@pytest.mark.parametrize(("subtype", "encoding"), [("ULAW", "mulaw"), ("ALAW", "alaw")])
def test_g711_wav_goes_as_it_is(server: str, service: FakeService, tmp_path: Path, subtype: str, encoding: str) -> None:
    samples = np.random.default_rng(3).integers(-32768, 32767, 8001).astype("int16")
    path = write(tmp_path / "a.wav", samples, 8000, subtype=subtype)
    assert main(["transcribe", str(path), "--quiet"]) == 0
    sent = b"".join(request.audio for request in service.requests)
    assert service.requests[0].parameters["encoding"] == encoding
    assert len(sent) == 8001
    assert sent in path.read_bytes()


def test_channels_are_mixed(
    server: str, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.wav", np.array([[100, 300], [-100, 100]] * 4000, "int16"), 8000)
    assert main(["transcribe", str(path)]) == 0
    assert "a.wav: 2 channels are mixed down to one" in capsys.readouterr().err
    sent = np.frombuffer(b"".join(request.audio for request in service.requests), "<i2")
    assert sent.tolist() == [200, 0] * 4000


@pytest.mark.parametrize(
    ("name", "arguments", "encoding", "rate"),
    [
        ("a.ulaw", [], "mulaw", 8000),
        ("a.ALAW", [], "alaw", 8000),
        ("a.sln16", [], "pcm_s16le", 16000),
        ("a.raw", ["--sample-rate", "11025"], "pcm_s16le", 11025),
        ("a.bin", ["--encoding", "pcm_f32le"], "pcm_f32le", 8000),
    ],
)
def test_raw_files(
    server: str, service: FakeService, tmp_path: Path, name: str, arguments: list[str], encoding: str, rate: int
) -> None:
    data = np.random.default_rng(4).bytes(100_000)
    (tmp_path / name).write_bytes(data)
    assert main(["transcribe", str(tmp_path / name), *arguments, "--quiet"]) == 0
    assert service.requests[0].parameters["encoding"] == encoding
    assert service.requests[0].parameters["sample_rate"] == rate
    assert b"".join(request.audio for request in service.requests) == data


def test_wrong_raw_options(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = ulaw(tmp_path / "a.raw")
    assert main(["transcribe", path, "--sample-rate", "4000"]) == 1
    assert "sample rate 4000 Hz is out of range" in capsys.readouterr().err
    assert main(["transcribe", path, "--encoding", "mp3"]) == 2
    assert main(["transcribe", path, "--jobs", "0"]) == 2


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
