"""Words right and wrong: alignment, error counts, rates with confidence intervals. Knows neither audio nor services."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

RESAMPLES = 2000
INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class Pair:
    """One step of an alignment.

    Attributes:
        kind: ``equal``, ``substitution``, ``insertion`` or ``deletion``.
        reference, hypothesis: indices of the words; -1 where there is none.
    """

    kind: str
    reference: int
    hypothesis: int


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """The cheapest alignment of two word lists, each edit at cost 1 (Levenshtein 1966)."""
    pairs: list[Pair] = []
    for code in Levenshtein.opcodes(list(reference), list(hypothesis)):
        left, right = range(code.src_start, code.src_end), range(code.dest_start, code.dest_end)
        if code.tag == "delete":
            pairs += [Pair("deletion", index, -1) for index in left]
        elif code.tag == "insert":
            pairs += [Pair("insertion", -1, index) for index in right]
        else:
            kind = "equal" if code.tag == "equal" else "substitution"
            pairs += [Pair(kind, i, j) for i, j in zip(left, right, strict=True)]
    return pairs


@dataclass(frozen=True)
class Counts:
    """Edits between a transcript and what was recognised.

    Attributes:
        words: in the transcript.
        substitutions, insertions, deletions: of words.
        letters: characters of the transcript, single spaces between words included.
        letter_errors: edits of characters.
    """

    words: int
    substitutions: int
    insertions: int
    deletions: int
    letters: int
    letter_errors: int

    @property
    def errors(self) -> int:
        """Edits of words."""
        return self.substitutions + self.insertions + self.deletions


def count(reference: str, hypothesis: str) -> Counts:
    """Edits that turn normalised text `reference` into `hypothesis`."""
    words = reference.split()
    kinds = Counter(pair.kind for pair in align(words, hypothesis.split()))
    return Counts(
        words=len(words),
        substitutions=kinds["substitution"],
        insertions=kinds["insertion"],
        deletions=kinds["deletion"],
        letters=len(reference),
        letter_errors=Levenshtein.distance(reference, hypothesis),
    )


@dataclass(frozen=True)
class Rate:
    """A share in per cent with its 95 % interval."""

    percent: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.percent:.1f} ({self.low:.1f}-{self.high:.1f})"


def _draws(clips: int, seed: int) -> NDArray[np.int64]:
    """How often each clip is drawn: int64 [RESAMPLES, clips], rows sum to `clips`."""
    draws: NDArray[np.int64] = np.random.default_rng(seed).multinomial(clips, [1.0 / clips] * clips, size=RESAMPLES)
    return draws


def rate(errors: Sequence[int], lengths: Sequence[int], seed: int = 1) -> Rate:
    """Errors per unit over all clips, with a bootstrap interval over clips (Bisani and Ney 2004).

    Whole clips are drawn, because errors within one are not independent.

    Args:
        errors: of each clip.
        lengths: words or letters of each clip's transcript.
        seed: of the draws.
    """
    if not sum(lengths):
        return Rate(0.0, 0.0, 0.0)
    draws = _draws(len(errors), seed)
    sums = draws @ np.asarray(lengths, dtype=np.float64)
    shares = 100.0 * (draws @ np.asarray(errors, dtype=np.float64))[sums > 0] / sums[sums > 0]
    low, high = np.percentile(shares, INTERVAL)
    return Rate(100.0 * sum(errors) / sum(lengths), float(low), float(high))


def difference(first: Sequence[int], second: Sequence[int], lengths: Sequence[int], seed: int = 1) -> Rate:
    """Rate of the second system minus that of the first on the same clips, in points, with its paired interval."""
    if not sum(lengths):
        return Rate(0.0, 0.0, 0.0)
    more = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    draws = _draws(len(lengths), seed)
    sums = draws @ np.asarray(lengths, dtype=np.float64)
    shares = 100.0 * (draws @ more)[sums > 0] / sums[sums > 0]
    low, high = np.percentile(shares, INTERVAL)
    return Rate(float(100.0 * more.sum() / sum(lengths)), float(low), float(high))


def frequent(texts: Iterable[tuple[str, str]], most: int = 12) -> list[tuple[str, str, int]]:
    """The most frequent word errors as (said, recognised, times); an empty word marks an insertion or deletion.

    Args:
        texts: normalised transcript and hypothesis of each clip.
        most: how many errors to name.
    """
    found: Counter[tuple[str, str]] = Counter()
    for reference, hypothesis in texts:
        said, heard = reference.split(), hypothesis.split()
        for pair in align(said, heard):
            if pair.kind != "equal":
                left = said[pair.reference] if pair.reference >= 0 else ""
                right = heard[pair.hypothesis] if pair.hypothesis >= 0 else ""
                found[left, right] += 1
    return [(said, heard, times) for (said, heard), times in sorted(found.items(), key=lambda e: (-e[1], e[0]))[:most]]
