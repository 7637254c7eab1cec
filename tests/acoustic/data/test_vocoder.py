"""Taking speech apart and giving it to other speakers: `pitch`, `vocoder`, `conversion`."""

import random
from dataclasses import replace

import numpy as np
import pytest
from tritone_acoustic.data.conversion import Target, convert, draw
from tritone_acoustic.data.pitch import HOP, pitch
from tritone_acoustic.data.vocoder import BINS, analyse, synthesise

PLAIN = Target(pitch=120.0, formants=1.0, range=1.0, wander=0.0, tilt=0.0, breath=1.0, tempo=1.0, unrest=0.0)


def vowel(frequency: float, seconds: float = 1.0) -> np.ndarray:
    """Harmonics through a resonance at 700 Hz, with a silent half second behind them; int16 at 8 kHz."""
    time = np.arange(int(seconds * 8000)) / 8000
    tones = np.arange(1, int(3900 / frequency) + 1) * frequency
    strength = 1.0 / (1.0 + np.square((tones - 700.0) / 120.0)) + 0.01
    sound = (strength[:, None] * np.cos(2 * np.pi * tones[:, None] * time)).sum(axis=0)
    return np.concatenate([sound / np.abs(sound).max() * 12000, np.zeros(4000)]).astype(np.int16)


@pytest.mark.parametrize("frequency", [85.0, 130.0, 210.0, 300.0])
def test_pitch_of_a_steady_vowel(frequency):
    found = pitch(vowel(frequency).astype(np.float32) / 32768)
    middle = found[20:180]
    assert np.median(middle) == pytest.approx(frequency, rel=0.01)
    assert (middle > 0).mean() > 0.95
    assert not found[230:].any()


def test_noise_has_no_pitch():
    noise = np.random.default_rng(1).standard_normal(8000).astype(np.float32)
    assert (pitch(noise) > 0).mean() < 0.2


def test_parts_give_the_same_speech_again():
    samples = vowel(110.0)
    speech = analyse(samples)
    assert speech.envelope.shape == speech.breath.shape == (len(samples) // HOP + 1, BINS)
    again = analyse((synthesise(speech, 1) * 32768).clip(-32767, 32767).astype(np.int16))
    assert np.median(again.pitch[20:180]) == pytest.approx(110.0, rel=0.02)
    difference = again.envelope[20:180, 10:120] - speech.envelope[20:180, 10:120]
    assert np.abs(difference - difference.mean()).mean() < 0.8  # natural logarithm of the power


@pytest.mark.parametrize(("formants", "expected"), [(1.0, 700.0), (1.2, 840.0), (0.9, 630.0)])
def test_conversion_moves_pitch_and_formants_apart(formants, expected):
    made = convert(vowel(110.0), replace(PLAIN, pitch=220.0, formants=formants), 3)
    speech = analyse(made)
    assert np.median(speech.pitch[30:170]) == pytest.approx(220.0, rel=0.03)
    peak = speech.envelope[30:170].mean(axis=0).argmax() * 4000.0 / (BINS - 1)
    assert peak == pytest.approx(expected, abs=60.0)


def test_conversion_changes_the_tempo_and_repeats_with_its_seed():
    samples = vowel(110.0)
    fast = convert(samples, replace(PLAIN, tempo=1.25), 3)
    assert len(fast) == pytest.approx(len(samples) / 1.25, rel=0.02)
    assert (fast == convert(samples, replace(PLAIN, tempo=1.25), 3)).all()


def test_conversion_of_nearly_nothing():
    short = np.ones(100, np.int16)
    assert convert(short, PLAIN, 1) is short
    silence = convert(np.zeros(8000, np.int16), PLAIN, 1)
    assert len(silence) == 8000


def test_most_speakers_are_women():
    rng = random.Random(2)
    drawn = [draw(rng) for _ in range(500)]
    women = [target for target in drawn if target.pitch > 160]
    assert 0.65 < len(women) / 500 < 0.8
    assert min(target.formants for target in women) > 1.0
