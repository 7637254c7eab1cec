"""Files that `tritone transcribe` reads: formats, channels, raw audio, and those that are broken."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tritone_client.cli.main import main

from tests.client.fake_service import FakeService
from tests.client.transcribed import CALL_TEXT, pcm, ulaw, write

pytestmark = pytest.mark.unit


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
