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


class PhraseConfidence:
    """Confidences of a phrase that grows: words that were in it before are not reckoned again. For one thread.

    Args:
        calibration: from letter probabilities to how often words are right.
    """

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._words: list[DecodedWord] = []
        self._sure: list[float] = []
        self._weights: list[float] = []  # letters times the logarithm of each word's confidence

    def of(self, words: list[DecodedWord]) -> tuple[list[float], float]:
        """Read a phrase's words.

        Returns:
            Each word's confidence, and their geometric mean, in which a word weighs with its letters; 0 without words.
        """
        same = 0
        for word, before in zip(words, self._words, strict=False):
            if word is not before:
                break
            same += 1
        added = [calibrated(word, self._calibration) for word in words[same:]]
        weights = [len(word.text) * log(max(sure, FLOOR)) for word, sure in zip(words[same:], added, strict=True)]
        self._words = list(words)
        self._sure = self._sure[:same] + added
        self._weights = self._weights[:same] + weights
        letters = sum([len(word.text) for word in words])
        return self._sure, exp(sum(self._weights) / letters) if letters else 0.0


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, FLOOR), _CEILING)
    return log(clipped / (1.0 - clipped))
