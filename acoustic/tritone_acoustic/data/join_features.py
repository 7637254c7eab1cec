"""Spectral features at pitch marks, by which a unit-selection voice judges how well two pieces of speech join.

Festival reads them from files of its own format; they are computed here from recordings instead of travelling.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 8000
CHANNELS = 12
_WINDOW = 160
_FFT = 256
_FILTERS = 24
_PRE_EMPHASIS = 0.97


def _mel_filters() -> NDArray[np.float32]:
    # Mel scale of O'Shaughnessy, natural-log form: 1127 ln(1 + f / 700).
    mel = 1127 * np.log1p(np.arange(_FFT // 2 + 1) * RATE / _FFT / 700)
    edges = np.linspace(1127 * np.log1p(60 / 700), 1127 * np.log1p(RATE / 2 / 700), _FILTERS + 2)
    rising = (mel[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel[:, None]) / (edges[2:] - edges[1:-1])
    filters: NDArray[np.float32] = np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)
    return filters


def log_mel_at(samples: NDArray[np.int16], marks: NDArray[np.int64]) -> NDArray[np.float32]:
    """Computes log-mel energies around pitch marks.

    Args:
        samples: int16 [n] at 8 kHz.
        marks: sample positions [m].

    Returns:
        float32 [m, 25]; the last column is 1, for a linear map with an offset.
    """
    wave = samples.astype(np.float32)
    wave[1:] -= _PRE_EMPHASIS * wave[:-1]
    wave = np.pad(wave, _WINDOW)
    first = np.clip(marks + _WINDOW // 2, 0, len(wave) - _WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(wave, _WINDOW)[first] * np.hamming(_WINDOW).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(frames, _FFT)).astype(np.float32)
    energies = np.log(np.maximum(spectrum @ _mel_filters(), 1.0))
    return np.concatenate([energies, np.ones((len(marks), 1), np.float32)], axis=1)


def read_track(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Reads a binary track file of the Edinburgh Speech Tools.

    Args:
        path: little-endian file whose frames have a time and a break flag.

    Returns:
        Times in seconds [m] and values [m, channels].
    """
    header, _, body = path.read_bytes().partition(b"EST_Header_End\n")
    fields = dict(line.split(None, 1) for line in header.decode().splitlines() if len(line.split(None, 1)) == 2)
    table = np.frombuffer(body, "<f4").reshape(-1, int(fields["NumChannels"]) + 2)
    return table[:, 0].copy(), table[:, 2:].copy()


def write_track(path: Path, times: NDArray[np.float64], values: NDArray[np.float32]) -> None:
    """Writes a binary track file of the Edinburgh Speech Tools.

    Args:
        path: the file.
        times: seconds [m], increasing.
        values: [m, channels].
    """
    frames, channels = values.shape
    lines = ["EST_File Track", "DataType binary", "ByteOrder 01", f"NumFrames {frames}", f"NumChannels {channels}"]
    lines += ["EqualSpace 0", "BreaksPresent true", "CommentChar ;"]
    lines += [f"Channel_{number} melcep_{number + 1}" for number in range(channels)]
    table = np.concatenate([times[:, None], np.ones((frames, 1)), values], axis=1).astype("<f4")
    path.write_bytes("\n".join([*lines, "EST_Header_End\n"]).encode() + table.tobytes())


def fit(features: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """Finds the linear map from log-mel energies to the features that came with the voice, by least squares.

    Args:
        features: [m, 25] of `log_mel_at`.
        wanted: [m, 12].

    Returns:
        float32 [25, 12].
    """
    return np.linalg.lstsq(features, wanted, rcond=None)[0].astype(np.float32)
