"""The three fits: weights of the search, shifts of word times, confidence. Their meaning is in decoding/settings.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from time import process_time

import numpy as np

from tritone_backend.decoding import DecodedWord
from tritone_backend.decoding.beam import BeamDecoder
from tritone_backend.decoding.confidence import features
from tritone_backend.decoding.language import LanguageModel
from tritone_backend.decoding.settings import BeamSettings, Calibration, Timing
from tritone_backend.spec import AcousticSpec
from tritone_backend.tuning.decode import decode
from tritone_backend.tuning.labels import word_times
from tritone_backend.tuning.material import Clip
from tritone_backend.tuning.scoring import calibration_error, errors, fit_logistic, matches

Sets = Mapping[str, list[Clip]]
Words = Mapping[str, list[list[DecodedWord]]]
BLANK_PENALTIES = (0.0, 0.6, 1.2, 1.8)
LM_WEIGHTS = (0.8, 1.0, 1.2, 1.4, 1.6)
UNIT_BONUSES = (-1.0, -0.5, 0.0, 0.5, 1.0)


def word_error_rates(sets: Sets, words: Words) -> dict[str, float]:
    """Share of wrong words by set, ё as е."""
    return {
        name: sum(errors(_folded(clip.text), _said(found)) for clip, found in zip(clips, words[name], strict=True))
        / sum(len(clip.text.split()) for clip in clips)
        for name, clips in sets.items()
    }


def run(sets: Sets, spec: AcousticSpec, language: LanguageModel | None, settings: BeamSettings) -> tuple[Words, float]:
    """Decode every clip; also the processor milliseconds a chunk."""
    search = BeamDecoder(spec, language, settings) if language else None
    begin = process_time()
    words = {name: [decode(spec, clip.logprobs, search) for clip in clips] for name, clips in sets.items()}
    frames = sum(len(clip.logprobs) for clips in sets.values() for clip in clips)
    return words, (process_time() - begin) * 1e3 * spec.frames_per_chunk / frames


def fit_search(
    sets: Sets, spec: AcousticSpec, language: LanguageModel, start: BeamSettings, say: Callable[[str], None]
) -> BeamSettings:
    """Try all weights with one another; the best have the lowest mean of the sets' word error rates over greedy's."""
    greedy = word_error_rates(sets, run(sets, spec, None, start)[0])
    say("greedy: " + _shown(greedy))
    best, least = start, np.inf
    for penalty, weight, bonus in product(BLANK_PENALTIES, LM_WEIGHTS, UNIT_BONUSES):
        settings = replace(start, blank_penalty=penalty, lm_weight=weight, unit_bonus=bonus)
        words, cost_ms = run(sets, spec, language, settings)
        rates = word_error_rates(sets, words)
        mean = float(np.mean([rate / max(greedy[name], 1e-3) for name, rate in rates.items()]))
        say(
            f"blank -{penalty:g}, weight {weight:g}, bonus {bonus:g}: {_shown(rates)}, {mean:.3f} of greedy's, "
            f"{cost_ms:.2f} ms a chunk"
        )
        if mean < least:
            best, least = settings, mean
    return best


@dataclass(frozen=True)
class TimeErrors:
    """Mean absolute errors of word beginnings and ends in seconds, and how many words they are of."""

    start: float
    end: float
    words: int


def fit_times(
    clips: list[Clip], words: list[list[DecodedWord]], labels: Path, spec: AcousticSpec
) -> tuple[Timing, TimeErrors, TimeErrors]:
    """Shifts that make word times fit phone labels; errors without and with them (halves tested on each other)."""
    delay = spec.time_bias_seconds + spec.padding_samples / spec.sample_rate
    gaps: list[tuple[float, float, bool]] = []
    for number, (clip, found) in enumerate(zip(clips, words, strict=True)):
        path = labels / f"{clip.name}.lab"
        times = word_times(path, clip.text) if path.is_file() else None
        if times is None:
            continue
        for word, match in zip(found, matches(_folded(clip.text), _said(found)), strict=True):
            if match >= 0:
                begin, end = times[match]
                start = word.start * spec.frame_seconds - delay
                gaps.append((begin - start, end - (word.end * spec.frame_seconds - delay), bool(number % 2)))
    table = np.array(gaps, np.float64).reshape(-1, 3)
    odd = table[:, 2] == 1
    fitted = np.zeros((len(table), 2))
    for half in (odd, ~odd):
        fitted[half] = np.median(table[~half, :2], axis=0) if (~half).any() else 0.0
    shifts = np.median(table[:, :2], axis=0) if len(table) else np.zeros(2)
    before, after = np.abs(table[:, :2]).mean(axis=0), np.abs(table[:, :2] - fitted).mean(axis=0)
    return (
        Timing(round(float(shifts[0]), 3), round(float(shifts[1]), 3)),
        TimeErrors(float(before[0]), float(before[1]), len(table)),
        TimeErrors(float(after[0]), float(after[1]), len(table)),
    )


def fit_confidence(sets: Sets, words: Words) -> tuple[Calibration, float, float, int]:
    """The logistic map; expected calibration error before and after it (halves tested on each other); words."""
    inputs, right, odd = [], [], []
    for name, clips in sets.items():
        for number, (clip, found) in enumerate(zip(clips, words[name], strict=True)):
            for word, match in zip(found, matches(_folded(clip.text), _said(found)), strict=True):
                inputs.append(features(word))
                right.append(match >= 0)
                odd.append(bool(number % 2))
    x, y, half = np.array(inputs), np.array(right), np.array(odd)
    fitted = np.zeros(len(x))
    for mask in (half, ~half):
        weights = fit_logistic(x[~mask], y[~mask])
        fitted[mask] = 1.0 / (1.0 + np.exp(-(weights[0] + x[mask] @ weights[1:])))
    bias, mean, weakest = (round(float(value), 4) for value in fit_logistic(x, y))
    raw = 1.0 / (1.0 + np.exp(-x[:, 0]))
    return Calibration(bias, mean, weakest), calibration_error(raw, y), calibration_error(fitted, y), len(x)


def _said(words: list[DecodedWord]) -> list[str]:
    return [word.text.replace("ё", "е") for word in words]


def _folded(text: str) -> list[str]:
    return text.replace("ё", "е").split()


def _shown(rates: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {100 * rate:.1f} %" for name, rate in rates.items())
