"""The table of targets, their shares of a long run, and inputs to begin with."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REGRESSIONS = Path(__file__).with_name("regressions")


@dataclass(frozen=True)
class Target:
    """One function that takes bytes.

    Attributes:
        name: as on the command line.
        function: ``module:function``.
        inputs: how many a whole run gives it; they are a million and more together.
        instrument: packages whose branches guide the fuzzer.
        longest: bytes of an input.
    """

    name: str
    function: str
    inputs: int
    instrument: tuple[str, ...]
    longest: int = 512

    def load(self) -> Callable[[bytes], None]:
        """The function."""
        module, _, name = self.function.partition(":")
        function: Callable[[bytes], None] = getattr(importlib.import_module(module), name)
        return function


BACKEND, CLIENT = "tritone_backend", "tritone_client"
TARGETS = {
    target.name: target
    for target in (
        Target("options", "tests.fuzz.parsers:options", 200_000, (BACKEND,)),
        Target("server-audio", "tests.fuzz.parsers:server_audio", 150_000, (BACKEND,), 2048),
        Target("events", "tests.fuzz.parsers:events", 250_000, (CLIENT,)),
        Target("errors", "tests.fuzz.parsers:server_errors", 150_000, (CLIENT,), 128),
        Target("keys-file", "tests.fuzz.parsers:keys_file", 100_000, (BACKEND,)),
        Target("guard", "tests.fuzz.parsers:guard", 150_000, (BACKEND,), 128),
        Target("description", "tests.fuzz.parsers:description", 60_000, (BACKEND,)),
        Target("audio-file", "tests.fuzz.parsers:audio_file", 60_000, (CLIENT,), 4096),
        Target("asr", "tests.fuzz.service:asr", 30_000, (BACKEND,)),
        Target("acoustic", "tests.fuzz.service:acoustic", 6_000, (BACKEND,)),
        Target("graph", "tests.fuzz.graphs:graph", 15_000, (BACKEND,), 256),
    )
}


def seeds(name: str) -> list[bytes]:
    """Small inputs that reach far, to begin with."""
    if name == "events":
        word = b'{"word":"a","start":0.1,"end":0.2,"confidence":1}'
        event = b'{"type":"final","text":"a b","start":0.03,"end":1.5,"confidence":0.9,"words":[' + word + b"]}"
        return [b"\0[]", b"\0[" + event + b"]", b"\0[" + event + b"," + event.replace(b"final", b"partial") + b"]"]
    if name == "keys-file":
        entry = b'[[key]]\nname = "a"\nsha256 = "' + b"0" * 64 + b'"\nmax_streams = 3\nmodels = ["streaming_asr"]\n'
        return [b"", entry, entry + b"expires = 2027-01-01T00:00:00Z\ncreated = 2026-01-01T00:00:00Z\n"]
    if name == "description":
        return [b"", bytes(64), b'name = "a"\n[audio]\nsample_rate = 8000\n']
    if name == "audio-file":
        audio = ROOT / "tests" / "audio"
        wav = (audio / "asterisk-ru-conf-invalid.wav").read_bytes()[:2000]
        flac = (audio / "call-short.flac").read_bytes()[:3000]
        mulaw = wav[:20] + b"\x07\x00" + wav[22:]
        return [b"\0" + wav, b"\x01" + flac, b"\0" + mulaw, b"\x06" + bytes(200), b"\x03" + b"\xff\xfb\x90\x00" * 40]
    return [b"", bytes(range(64)), bytes(range(255, 0, -2)) * 2]


def regressions(name: str) -> list[Path]:
    """Inputs that once showed a defect."""
    return sorted((REGRESSIONS / name).glob("*"))
