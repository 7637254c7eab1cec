"""Whether a confidence of 0.9 is right nine times in ten: reliability and expected calibration error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tritone_bench.accuracy.scoring import align
from tritone_bench.accuracy.streaming import Heard

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Words of similar confidence.

    Attributes:
        words: how many.
        confidence: their mean.
        right: share of them that was said.
    """

    words: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """Reliability of word confidences.

    Attributes:
        bins: of equal width, empty ones left out.
        error: expected calibration error in per cent, the mean over words of |right - confidence| of their bin
            (Naeini, Cooper and Hauskrecht 2015).
        words: judged.
        right: share of them that was said.
        confidence: their mean confidence.
    """

    bins: list[Bin]
    error: float
    words: int
    right: float
    confidence: float


def judged(reference: str, heard: Heard) -> list[tuple[float, bool]]:
    """Confidence of each recognised word, and whether the alignment with the transcript finds it right."""
    spoken = [word.word for word in heard.words]
    right = {pair.hypothesis for pair in align(reference.split(), spoken) if pair.kind == "equal"}
    return [(w.confidence, index in right) for index, w in enumerate(heard.words) if w.confidence is not None]


def calibrate(words: Iterable[tuple[float, bool]]) -> Calibration | None:
    """Sort words into bins by confidence; None when there is no word with one."""
    pairs = list(words)
    if not pairs:
        return None
    sure = np.array([confidence for confidence, _ in pairs])
    right = np.array([is_right for _, is_right in pairs], dtype=np.float64)
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins = [
        Bin(int(there.sum()), float(sure[there].mean()), float(right[there].mean()))
        for there in (place == number for number in range(BINS))
        if there.any()
    ]
    error = 100.0 * sum(one.words * abs(one.right - one.confidence) for one in bins) / len(pairs)
    return Calibration(bins, error, len(pairs), float(right.mean()), float(sure.mean()))
