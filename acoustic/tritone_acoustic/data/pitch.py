"""Fundamental frequency of speech by autocorrelation, with a dynamic programme that keeps it steady.

What the pitch is used for is in `vocoder`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 8000
HOP = 40
"""Samples between frames: 5 ms."""
_WINDOW = 320
_FFT = 1024
_LOWEST, _HIGHEST = 60.0, 420.0
_CANDIDATES = 5
_VOICED = 0.42
"""Periodicity (0 to 1) from which a frame is taken as voiced."""
_OCTAVE_COST = 0.05
_JUMP_COST = 0.5
_SWITCH_COST = 0.14
_QUIET = 1e-4
"""Energy below this share of the loudest frame's is silence."""


def frames_at(samples: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Cuts a signal into frames whose centres are `HOP` samples apart, the first one at sample 0.

    Args:
        samples: float32 [n].
        width: samples in a frame, even.

    Returns:
        float32 [n // HOP + 1, width], a view.
    """
    padded = np.pad(samples, (width // 2, width // 2 + HOP))
    return np.lib.stride_tricks.sliding_window_view(padded, width)[::HOP][: len(samples) // HOP + 1]


def _candidates(samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Finds the strongest periods: lags [F, K] in samples, periodicity [F, K], and which frames are silent [F]."""
    frames = frames_at(samples, _WINDOW)
    frames = frames - frames.mean(axis=1, keepdims=True)
    window = np.hanning(_WINDOW).astype(np.float32)
    spectrum = np.fft.rfft(frames * window, _FFT, axis=1)
    own = np.fft.irfft(np.abs(np.fft.rfft(window, _FFT)) ** 2)
    first, last = int(RATE / _HIGHEST), int(RATE / _LOWEST)
    correlation = np.fft.irfft(np.square(np.abs(spectrum)), axis=1)[:, : last + 2]
    energy = correlation[:, :1]
    # Boersma (1993): the window's own autocorrelation is divided out.
    periodicity = correlation / np.maximum(energy, 1e-9) / (own[: last + 2] / own[0])
    middle = periodicity[:, first : last + 1]
    peak = (middle > periodicity[:, first - 1 : last]) & (middle >= periodicity[:, first + 1 : last + 2])
    strength = np.where(peak, middle, -1.0)
    best = np.argpartition(-strength, _CANDIDATES, axis=1)[:, :_CANDIDATES]
    value = np.take_along_axis(strength, best, axis=1)
    lag = (best + first).astype(np.float32)
    # A parabola through the peak and its neighbours gives the period between samples.
    left = np.take_along_axis(periodicity, best + first - 1, axis=1)
    right = np.take_along_axis(periodicity, best + first + 1, axis=1)
    bend = left - 2 * value + right
    lag += np.where(bend < 0, 0.5 * (left - right) / np.minimum(bend, -1e-9), 0.0).clip(-0.5, 0.5)
    silent = energy[:, 0] < _QUIET * energy.max(initial=1e-9)
    return lag, value.clip(-1.0, 1.0).astype(np.float32), silent


def pitch(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Estimates the fundamental frequency.

    Args:
        samples: float32 [n] at 8 kHz.

    Returns:
        float32 [n // HOP + 1] in Hz, 0 where there is no voice.
    """
    lag, periodicity, silent = _candidates(samples)
    octaves = np.log2(RATE / lag)
    # The last state is "no voice". High candidates are favoured a little, against errors of an octave downwards.
    local = np.concatenate(
        [periodicity + _OCTAVE_COST * (octaves - 7.0), np.full((len(lag), 1), _VOICED, np.float32)], axis=1
    )
    local[:, :-1][silent | (periodicity.max(axis=1) < 0)] = -1.0
    local[:, :-1][periodicity < 0] = -1.0
    states = _CANDIDATES + 1
    total = local[0].copy()
    back = np.zeros((len(lag), states), np.int64)
    change = np.full((len(lag), states, states), _SWITCH_COST, np.float32)
    change[:, -1, -1] = 0.0
    change[1:, :-1, :-1] = _JUMP_COST * np.abs(octaves[1:, None, :] - octaves[:-1, :, None])
    columns = np.arange(states)
    for frame in range(1, len(lag)):
        score = total[:, None] - change[frame]
        back[frame] = score.argmax(axis=0)
        total = score[back[frame], columns] + local[frame]
    path = np.zeros(len(lag), np.int64)
    path[-1] = int(total.argmax())
    for frame in range(len(lag) - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    chosen = np.take_along_axis(lag, np.minimum(path, _CANDIDATES - 1)[:, None], axis=1)[:, 0]
    return np.where(path < _CANDIDATES, RATE / chosen, 0.0).astype(np.float32)
