"""Takes speech apart into pitch, spectral envelope and breath, and puts it together again: a source-filter vocoder.

The pitch is found in `pitch`; what is changed between the two halves is decided in `conversion`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.pitch import HOP, RATE, frames_at, pitch

FFT = 512
BINS = FFT // 2 + 1
_UNVOICED_PITCH = 200.0
"""Pitch by which frames without voice are analysed and their noise is laid: a pulse every 5 ms."""
_LIFTER = -0.15
_BANDS = 4
_FLOOR = 1e-7


@dataclass(frozen=True)
class Speech:
    """Speech in parts, a frame every 5 ms.

    Attributes:
        pitch: float32 [F] in Hz, 0 without voice.
        envelope: float32 [F, BINS], natural logarithm of the power density, 0 to 4 kHz.
        breath: float32 [F, BINS], share of noise in the power, 0 to 1.
    """

    pitch: NDArray[np.float32]
    envelope: NDArray[np.float32]
    breath: NDArray[np.float32]


def _envelope(samples: NDArray[np.float32], frequency: NDArray[np.float32]) -> NDArray[np.float32]:
    """Estimates the spectral envelope without the harmonics (CheapTrick; Morise 2015), as log power [F, BINS]."""
    frames = frames_at(samples, FFT)
    period = (RATE / frequency)[:, None]
    # Equation 1: a Hann window of three periods, of unit energy.
    time = (np.arange(FFT) - FFT // 2)[None, :] / (1.5 * period)
    window = np.where(np.abs(time) < 1.0, 0.5 + 0.5 * np.cos(np.pi * time), 0.0).astype(np.float32)
    window /= np.sqrt(np.square(window).sum(axis=1, keepdims=True))
    mean = (frames * window).sum(axis=1, keepdims=True) / window.sum(axis=1, keepdims=True)
    power = np.square(np.abs(np.fft.rfft((frames - mean) * window, axis=1))).astype(np.float32)
    # Equation 2: the mean over two thirds of the pitch around each frequency, by differences of the running sum.
    mirrored = np.concatenate([power[:, 40:0:-1], power, power[:, -2:-42:-1]], axis=1)
    running = np.concatenate([np.zeros((len(power), 1)), mirrored.cumsum(axis=1, dtype=np.float64)], axis=1)
    half = np.minimum(FFT / period / 3.0, 38.0)
    rows = np.arange(len(power))[:, None]

    def up_to(place: NDArray[np.float64]) -> NDArray[np.float64]:
        whole = place.astype(np.int64)
        low: NDArray[np.float64] = running[rows, whole]
        total: NDArray[np.float64] = low + (running[rows, whole + 1] - low) * (place - whole)
        return total

    centre = np.arange(BINS)[None, :] + 40.5
    smooth = (up_to(centre + half) - up_to(centre - half)) / (2 * half)
    level = np.log(np.maximum(smooth, _FLOOR * smooth.max(initial=1e-6)))
    # Equations 3 to 5: what the harmonics leave is taken out of the cepstrum, and the smoothing is made up for.
    cepstrum = np.fft.irfft(level, axis=1)[:, :BINS]
    turns = np.arange(BINS)[None, :] / period
    lifter = np.sinc(turns) * (1.0 - 2.0 * _LIFTER + 2.0 * _LIFTER * np.cos(2 * np.pi * turns))
    cepstrum = cepstrum * lifter
    both = np.concatenate([cepstrum, cepstrum[:, -2:0:-1]], axis=1)
    result: NDArray[np.float32] = np.fft.rfft(both, axis=1).real.astype(np.float32)
    return result


def _breath(
    samples: NDArray[np.float32], frequency: NDArray[np.float32], voiced: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Estimates the share of noise [F, BINS]: what does not repeat after a period, in four bands."""
    frames = frames_at(samples, FFT)
    window = np.hanning(FFT).astype(np.float32)
    power = np.square(np.abs(np.fft.rfft(frames * window, 2 * FFT, axis=1))).astype(np.float32)
    lag = RATE / frequency
    turn = np.cos(2 * np.pi * np.outer(lag, np.arange(FFT + 1)) / (2 * FFT)).astype(np.float32)
    own = np.fft.irfft(np.square(np.abs(np.fft.rfft(window, 2 * FFT))))
    own = np.interp(lag, np.arange(FFT), own[:FFT]) / own[0]
    width = FFT // _BANDS
    repeated = (power * turn)[:, : _BANDS * width].reshape(len(power), _BANDS, width).sum(axis=2)
    whole = power[:, : _BANDS * width].reshape(len(power), _BANDS, width).sum(axis=2)
    share = 1.0 - (repeated / np.maximum(whole, 1e-9) / own[:, None]).clip(0.0, 1.0)
    share[~voiced] = 1.0
    # Between the middles of the bands the share goes over smoothly.
    place = (np.arange(BINS) / (BINS - 1) * _BANDS - 0.5).clip(0.0, _BANDS - 1.001)
    low = place.astype(np.int64)
    part = (place - low).astype(np.float32)
    result: NDArray[np.float32] = (share[:, low] * (1 - part) + share[:, low + 1] * part).astype(np.float32)
    return result


def analyse(samples: NDArray[np.int16]) -> Speech:
    """Takes speech apart.

    Args:
        samples: int16 [n], 8 kHz.

    Returns:
        Its parts, n // HOP + 1 frames.
    """
    wave = samples.astype(np.float32) / 32768.0
    rng = np.random.default_rng(len(samples))
    wave += rng.standard_normal(len(wave), dtype=np.float32) * 1e-5  # digital silence has no logarithm
    frequency = pitch(wave)
    voiced = frequency > 0
    filled = np.where(voiced, frequency, _UNVOICED_PITCH).astype(np.float32)
    return Speech(frequency, _envelope(wave, filled), _breath(wave, filled, voiced))


def _pulses(frequency: NDArray[np.float32]) -> NDArray[np.float64]:
    """Times of the pulses in samples: where the running phase passes whole turns."""
    time = np.arange((len(frequency) - 1) * HOP)
    course = np.interp(time / HOP, np.arange(len(frequency)), frequency)
    phase = np.cumsum(course.astype(np.float64)) / RATE
    turns = np.arange(1, int(phase[-1]) + 1) if len(phase) else np.zeros(0)
    return np.interp(turns, phase, time)


def _minimum_phase(envelope: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Spectra [P, BINS] of minimum phase whose log power is given (through the cepstrum; Oppenheim and Schafer)."""
    cepstrum = np.fft.irfft(envelope * 0.5, axis=1)
    cepstrum[:, 1 : FFT // 2] *= 2.0
    cepstrum[:, FFT // 2 + 1 :] = 0.0
    result: NDArray[np.complex64] = np.exp(np.fft.rfft(cepstrum, axis=1)).astype(np.complex64)
    return result


def synthesise(speech: Speech, seed: int) -> NDArray[np.float32]:
    """Puts speech together: for each period a pulse and noise, each through a filter of minimum phase.

    Args:
        speech: the parts.
        seed: of the noise.

    Returns:
        float32 [(F - 1) * HOP] in about -1..1.
    """
    frames = len(speech.pitch)
    voiced = speech.pitch > 0
    filled = speech.pitch.copy()
    if voiced.any():
        # Between frames with and without voice the pitch does not glide: each holds its own up to the border.
        filled[~voiced] = _UNVOICED_PITCH
    else:
        filled[:] = _UNVOICED_PITCH
    times = _pulses(filled)
    times = times[times < (frames - 1) * HOP - 1]
    if not len(times):
        return np.zeros((frames - 1) * HOP, np.float32)
    number = np.minimum(np.round(times / HOP).astype(np.int64), frames - 1)
    gaps = np.diff(times, append=times[-1] + HOP).clip(8, 160).astype(np.float32)
    spectrum = _minimum_phase(speech.envelope[number])
    breath = speech.breath[number].clip(0.0, 1.0)
    whole = times.astype(np.int64)
    delay = np.exp(-2j * np.pi * np.outer(times - whole, np.arange(BINS)) / FFT).astype(np.complex64)
    tone = spectrum * np.sqrt(1.0 - breath) * delay * np.sqrt(gaps)[:, None] * voiced[number][:, None]
    # White noise as long as the period, so that it rises and falls with the voice.
    rng = np.random.default_rng(seed)
    white = rng.standard_normal((len(times), 160), dtype=np.float32)
    white *= np.arange(160)[None, :] < np.round(gaps)[:, None]
    share = np.where(voiced[number][:, None], np.sqrt(breath), 1.0)
    noise = np.fft.rfft(white, FFT, axis=1) * spectrum * share
    replies = np.fft.irfft(tone + noise, axis=1).astype(np.float32)
    result = np.zeros((frames - 1) * HOP + FFT, np.float32)
    for place, reply in zip(whole.tolist(), replies, strict=True):
        result[place : place + FFT] += reply
    return result[: (frames - 1) * HOP]
