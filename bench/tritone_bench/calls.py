"""Telephone calls made of real speech: what the streams of a load test say. No network here.

A call is a few recordings with pauses between them, as one side of a conversation has, or without any pause as
the worst case: then every chunk is speech and phrases never end early.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritone_bench.errors import UsageError

RATE = 8000
CHUNK_SAMPLES = 2400
CHUNK_BYTES = 2 * CHUNK_SAMPLES
PERIOD_S = CHUNK_SAMPLES / RATE
PAUSE_S = (0.4, 3.0)
NOISE_PEAK = 6  # samples; a line is never perfectly silent, and zeros would flatter any silence detector
SUFFIXES = (".wav", ".flac", ".ogg")

Samples = NDArray[np.int16]


@dataclass
class Call:
    """One call's audio and what the service answers to it when it is the only stream.

    Attributes:
        name: where its speech comes from.
        chunks: 16-bit samples at 8 kHz as bytes, one element per 300 ms.
        speech_share: part of the call that is recordings rather than pauses.
        reference: events of each chunk as the service sent them, filled in by `reference.record`.
    """

    name: str
    chunks: list[bytes]
    speech_share: float
    reference: list[bytes] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Length of the call."""
        return len(self.chunks) * PERIOD_S


def default_audio() -> Path:
    """The folder of recordings that comes with the checkout."""
    return Path(__file__).resolve().parents[2] / "tests" / "audio"


def load_clips(source: Path) -> list[tuple[str, Samples]]:
    """Read recordings as int16 at 8 kHz, the first channel of each.

    Args:
        source: an audio file, or a folder of them.

    Raises:
        UsageError: there is none, or one cannot be read or has another rate.
    """
    import soundfile

    files = sorted(path for path in source.rglob("*") if path.suffix in SUFFIXES) if source.is_dir() else [source]
    clips = []
    for path in files:
        try:
            samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
        except (OSError, RuntimeError) as error:
            raise UsageError(f"{path} cannot be read as audio ({error})") from None
        if rate == 2 * RATE:  # enough for a load test: averaging pairs keeps speech intelligible
            pairs = samples[: len(samples) // 2 * 2, 0].reshape(-1, 2)
            clips.append((path.stem, pairs.mean(1).astype(np.int16)))
        elif rate == RATE:
            clips.append((path.stem, np.ascontiguousarray(samples[:, 0])))
    if not clips:
        raise UsageError(f"no recordings of {RATE} or {2 * RATE} Hz in {source}; give a file or folder with --audio")
    return clips


def make_calls(
    clips: Sequence[tuple[str, Samples]], *, count: int, seconds: float, pauses: bool, seed: int = 1
) -> list[Call]:
    """Compose calls; the same arguments always give the same ones.

    Args:
        clips: recordings, int16 [samples] at 8 kHz.
        count: how many calls.
        seconds: average length; calls last between 0.75 and 1.25 of it, so that they do not end together.
        pauses: pauses between recordings as in conversation, or none at all.
        seed: of everything random.

    Returns:
        Calls of whole chunks.
    """
    draw = random.Random(seed)  # noqa: S311
    noise = np.random.default_rng(seed)
    order = list(clips)
    calls = []
    for _ in range(count):
        wanted = round(seconds * draw.uniform(0.75, 1.25) / PERIOD_S) * CHUNK_SAMPLES
        parts: list[Samples] = []
        names: list[str] = []
        length = speech = 0
        while length < wanted:
            if not names or len(names) % len(order) == 0:
                draw.shuffle(order)
            name, clip = order[len(names) % len(order)]
            # A start somewhere inside the first recording makes calls of a small set differ.
            clip = clip[draw.randrange(min(len(clip) // 2, CHUNK_SAMPLES) + 1) if not names else 0 :]
            names.append(name)
            if pauses:
                silence = round(draw.uniform(*PAUSE_S) * RATE)
                parts.append(noise.integers(-NOISE_PEAK, NOISE_PEAK + 1, silence).astype(np.int16))
            else:
                clip = _trimmed(clip)
            parts.append(clip)
            speech += len(clip)
            length = sum(map(len, parts))
        samples = np.concatenate(parts)[:wanted].astype("<i2")
        raw = samples.tobytes()
        chunks = [raw[at : at + CHUNK_BYTES] for at in range(0, len(raw), CHUNK_BYTES)]
        calls.append(Call("+".join(dict.fromkeys(names)), chunks, min(1.0, speech / length)))
    return calls


def _trimmed(clip: Samples, floor: float = 0.02) -> Samples:
    """The recording without its silent ends: below `floor` of its peak."""
    loud = np.flatnonzero(np.abs(clip.astype(np.int32)) > floor * max(1, int(np.abs(clip.astype(np.int32)).max())))
    return clip[loud[0] : loud[-1] + 1] if len(loud) else clip
