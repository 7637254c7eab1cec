"""How sure a word is: the network's own probabilities, mapped to how often such words are right. No fitting."""

from __future__ import annotations

from math import exp, log

from tritone_backend.decoding.settings import Calibration
from tritone_backend.decoding.words import FLOOR, DecodedWord

_CEILING = 1.0 - 1e-6


def features(word: DecodedWord) -> tuple[float, float]:
    """Log-odds of the geometric mean and of the least of a word's letter probabilities."""
    return _log_odds(word.confidence), _log_odds(word.weakest)


def calibrated(word: DecodedWord, calibration: Calibration) -> float:
    """Probability that the word is right, 0 to 1; see `Calibration` for the formula."""
    mean, weakest = features(word)
    odds = calibration.bias + calibration.mean * mean + calibration.weakest * weakest
    return 1.0 / (1.0 + exp(-max(-50.0, min(50.0, odds))))


def phrase_confidence(words: list[DecodedWord], sure: list[float]) -> float:
    """Geometric mean of the words' confidences, each weighing with its letters; 0 without words."""
    letters = sum(len(word.text) for word in words)
    total = sum(len(word.text) * log(max(value, FLOOR)) for word, value in zip(words, sure, strict=True))
    return exp(total / letters) if letters else 0.0


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, FLOOR), _CEILING)
    return log(clipped / (1.0 - clipped))
