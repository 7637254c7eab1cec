"""Gives speech to other speakers: women above all, for those who were recorded are men.

Taking apart and putting together is in `vocoder`; this module draws a speaker and changes the parts.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.pitch import RATE
from tritone_acoustic.data.vocoder import BINS, Speech, analyse, synthesise

_WOMAN, _MAN = (165.0, 290.0), (75.0, 150.0)
_WOMEN = 0.72
_LEVEL = 3000.0
"""Root mean square of what comes out, of 32768."""


@dataclass(frozen=True)
class Target:
    """A speaker and a manner of speaking.

    Attributes:
        pitch: median pitch in Hz.
        formants: factor on all formant frequencies.
        range: factor on the pitch's deviation from its median (logarithms): flat or lively.
        wander: standard deviation of a further slow movement of the pitch, natural logarithm.
        tilt: change of the spectrum's slope in dB from 0 to 4 kHz.
        breath: exponent of the share of noise; below 1 a breathier voice.
        tempo: factor on the speed.
        unrest: standard deviation of the logarithm of the tempo, changing twice a second.
    """

    pitch: float
    formants: float
    range: float
    wander: float
    tilt: float
    breath: float
    tempo: float
    unrest: float


def draw(rng: random.Random, tempo: tuple[float, float] = (0.85, 1.3)) -> Target:
    """Draws a speaker for speech of a man.

    Args:
        rng: source of randomness.
        tempo: range of the speed.

    Returns:
        A speaker: a woman in three cases of four.
    """
    woman = rng.random() < _WOMEN
    low, high = _WOMAN if woman else _MAN
    return Target(
        pitch=low * (high / low) ** rng.random(),
        formants=rng.uniform(1.04, 1.26) if woman else rng.uniform(0.88, 1.08),
        range=rng.uniform(0.6, 1.7),
        wander=rng.uniform(0.0, 0.12),
        tilt=rng.uniform(-7.0, 7.0),
        breath=rng.uniform(0.55, 1.5),
        tempo=rng.uniform(*tempo),
        unrest=rng.uniform(0.0, 0.15),
    )


def _slow(frames: int, knot: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A smooth random course of about unit variance, float32 [frames], with a knot every so many frames."""
    knots = rng.standard_normal(frames // knot + 2)
    return np.interp(np.arange(frames) / knot, np.arange(len(knots)), knots).astype(np.float32)


def _warped(values: NDArray[np.float32], formants: float) -> NDArray[np.float32]:
    """Moves what stands at frequency f to f * formants, [F, BINS]; above the band the last value goes on."""
    source = (np.arange(BINS) / formants).clip(0.0, BINS - 1.001)
    low = source.astype(np.int64)
    part = (source - low).astype(np.float32)
    result: NDArray[np.float32] = values[:, low] * (1 - part) + values[:, low + 1] * part
    return result


def change(speech: Speech, target: Target, rng: np.random.Generator) -> Speech:
    """Changes speaker and manner.

    Args:
        speech: the parts.
        target: who is to speak.
        rng: source of the slow movements.

    Returns:
        New parts; about as many frames as before, divided by the tempo.
    """
    frames = len(speech.pitch)
    # Time: each new frame is the old one that is nearest to where the wandering tempo has come.
    count = max(2, round(frames / target.tempo))
    pace = np.exp(_slow(count, 100, rng) * target.unrest).cumsum()
    source = np.minimum(np.round((pace - pace[0]) * (frames - 1) / (pace[-1] - pace[0])).astype(np.int64), frames - 1)
    pitch = speech.pitch[source]
    voiced = pitch > 0
    if voiced.any():
        logarithm = np.log(pitch[voiced])
        middle = float(np.median(logarithm))
        moved = np.log(target.pitch) + (logarithm - middle) * target.range
        pitch = pitch.copy()
        pitch[voiced] = np.exp(moved + _slow(count, 120, rng)[voiced] * target.wander).clip(55.0, 480.0)
    tilt = np.linspace(-0.5, 0.5, BINS, dtype=np.float32) * np.float32(target.tilt * np.log(10.0) / 10.0)
    envelope = _warped(speech.envelope[source], target.formants) + tilt
    breath = _warped(speech.breath[source], target.formants) ** np.float32(target.breath)
    return Speech(pitch.astype(np.float32), envelope, breath)


def convert(samples: NDArray[np.int16], target: Target, seed: int) -> NDArray[np.int16]:
    """Lets somebody else say the same.

    Args:
        samples: int16 [n], 8 kHz.
        target: who is to speak.
        seed: of the noise and the slow movements.

    Returns:
        int16 [about n / target.tempo]; unchanged if there is less than 50 ms.
    """
    if len(samples) < RATE // 20:
        return samples
    rng = np.random.default_rng(seed)
    wave = synthesise(change(analyse(samples), target, rng), seed)
    power = float(np.sqrt(np.mean(np.square(wave)))) + 1e-9
    result: NDArray[np.int16] = np.clip(wave * (_LEVEL / power), -32767, 32767).astype(np.int16)
    return result
