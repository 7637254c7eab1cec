"""Sample-rate conversion and the container of recorded sets, in numpy.

A set is one compressed audio file with an index; augmentation lives in `augment` and runs in PyTorch.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.errors import TrainingDataError

SAMPLE_RATE = 8000
_FFT_GRAIN = 960  # lengths with small prime factors keep the FFT fast


def resample(samples: NDArray[np.int16], rate: int, warp: float = 1.0) -> NDArray[np.int16]:
    """Converts to 8 kHz by cutting the spectrum (an ideal low-pass), optionally played faster.

    Args:
        samples: int16 [n] at `rate`.
        rate: samples per second of the input.
        warp: speed and pitch factor; 1.1 is ten per cent faster and higher, formants included.

    Returns:
        int16 [about n * 8000 / rate / warp].
    """
    padded = -(-len(samples) // _FFT_GRAIN) * _FFT_GRAIN
    target = max(160, round(padded * SAMPLE_RATE / rate / warp / 80) * 80)
    spectrum = np.fft.rfft(samples.astype(np.float32), padded)
    kept = min(target // 2 + 1, len(spectrum))
    cut = np.zeros(target // 2 + 1, dtype=np.complex64)
    cut[:kept] = spectrum[:kept]
    # A short raised-cosine edge avoids ringing at the cut.
    edge = max(1, kept // 40)
    cut[kept - edge : kept] *= 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, edge))
    wave = np.fft.irfft(cut, target) * (target / padded)
    length = round(len(samples) * target / padded)
    result: NDArray[np.int16] = np.clip(np.round(wave[:length]), -32768, 32767).astype(np.int16)
    return result


@dataclass(frozen=True)
class Clip:
    """One utterance of a set.

    Attributes:
        name: what it is called in its source.
        voice: who speaks.
        text: normalised transcript.
        samples: int16 [n], 8 kHz.
    """

    name: str
    voice: str
    text: str
    samples: NDArray[np.int16]


def write_set(clips: list[Clip], stem: Path, suffix: str = ".flac", compression: float = 0.5) -> None:
    """Writes a set: all clips in one audio file and a tab-separated index.

    Args:
        clips: the utterances.
        stem: path without suffix.
        suffix: ".flac" (exact) or ".ogg" (Opus).
        compression: 0 (largest) to 1 (smallest) for Opus.
    """
    import soundfile

    stem.parent.mkdir(parents=True, exist_ok=True)
    joined = np.concatenate([clip.samples for clip in clips])
    options = {"subtype": "OPUS", "compression_level": compression} if suffix == ".ogg" else {}
    with soundfile.SoundFile(f"{stem}{suffix}", "w", SAMPLE_RATE, 1, **options) as stream:
        for start in range(0, len(joined), SAMPLE_RATE * 60):  # libsndfile's Opus writer overflows on one huge block
            stream.write(joined[start : start + SAMPLE_RATE * 60])
    with Path(f"{stem}.tsv").open("w", encoding="utf-8", newline="") as index:
        writer = csv.writer(index, delimiter="\t")
        writer.writerows([clip.name, clip.voice, len(clip.samples), clip.text] for clip in clips)


def read_set(stem: Path) -> list[Clip]:
    """Reads a set that `write_set` wrote.

    Args:
        stem: path without suffix.

    Returns:
        The utterances in file order.

    Raises:
        TrainingDataError: a file is missing, or audio and index do not fit.
    """
    import soundfile

    audio = next((path for path in (Path(f"{stem}.flac"), Path(f"{stem}.ogg")) if path.exists()), None)
    index = Path(f"{stem}.tsv")
    if audio is None or not index.exists():
        raise TrainingDataError(f"no set {stem}: make it with `python -m tritone_acoustic.data bundle`")
    samples, rate = soundfile.read(audio, dtype="int16")
    with index.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, delimiter="\t"))
    lengths = [int(row[2]) for row in rows]
    if rate != SAMPLE_RATE or abs(len(samples) - sum(lengths)) > SAMPLE_RATE:
        raise TrainingDataError(f"{audio} does not fit {index}: make the set again")
    ends = np.minimum(np.cumsum(lengths), len(samples))
    return [
        Clip(row[0], row[1], row[3], samples[end - length : end])
        for row, length, end in zip(rows, lengths, ends, strict=True)
    ]
