"""Estimates an n-gram model with interpolated, modified Kneser-Ney smoothing and writes it as an ARPA file.

Units are opaque strings here; what they stand for is decided in `units`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
SPECIAL = (UNKNOWN, BEGIN, END)
_NEVER = -99.0  # the usual log10 of "is never predicted"
_UNIFORM = 0.1
"""Share of a prior in which all units are alike."""


@dataclass(frozen=True)
class Prior:
    """What is known of single units from elsewhere.

    Attributes:
        base: float64 [vocabulary], sums to 1: what single units fall back on, instead of all being alike.
        share: of the probability of single units, beyond what smoothing leaves.
    """

    base: NDArray[np.float64]
    share: float


@dataclass
class _Order:
    """All n-grams of one length, row by row.

    Attributes:
        head: id of its first n - 1 units among the shorter n-grams.
        last: its last unit.
        tail: id of its last n - 1 units among the shorter n-grams.
        count: raw count.
        kept: whether it is in the pruned model.
        log10: probability of the last unit after the others.
        backoff: log10 of the weight that unseen continuations of it get.
    """

    head: NDArray[np.int64]
    last: NDArray[np.int64]
    tail: NDArray[np.int64]
    count: NDArray[np.int64]
    kept: NDArray[np.bool_]
    log10: NDArray[np.float64]
    backoff: NDArray[np.float64]


class KneserNey:
    """A modified Kneser-Ney model (Chen and Goodman 1998, section 3) over a fixed vocabulary.

    Args:
        vocabulary: every unit, without the special ones; units that no sentence has get the least probability.
        sentences: unit numbers into ``vocabulary``, one array a sentence.
        order: length of the longest n-grams.
        cutoffs: per order, adjusted counts up to this are pruned; their mass goes to the shorter n-grams.
        prior: of single units; None: all alike.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        sentences: Sequence[NDArray[np.int64]],
        order: int,
        cutoffs: Sequence[int],
        prior: Prior | None = None,
    ) -> None:
        if len(cutoffs) != order or cutoffs[0]:
            raise ValueError("one cut-off an order, and none for single units")
        self.units = [*SPECIAL, *vocabulary]
        self._orders = _count(sentences, len(self.units), order)
        adjusted = _adjust(self._orders)
        self._prune(adjusted, cutoffs)
        uniform = np.full(len(self.units), 1.0 / (len(self.units) - 1))  # BEGIN is never predicted
        if prior is None:
            self._estimate(adjusted, uniform, 0.0)
        else:
            # Whatever the prior does not know, the end of a sentence above all, keeps a little.
            base = np.r_[np.zeros(len(SPECIAL)), prior.base]
            self._estimate(adjusted, _UNIFORM * uniform + (1.0 - _UNIFORM) * base, prior.share)

    def sizes(self) -> list[int]:
        """Number of n-grams kept, by order."""
        return [int(grams.kept.sum()) for grams in self._orders]

    def write_arpa(self, path: Path, members: NDArray[np.int64] | None = None) -> None:
        """Write the model as an ARPA file in UTF-8.

        Args:
            path: the file.
            members: int64 [vocabulary], words that a unit stands for: each gets its share of the unit's probability.
        """
        shares = np.zeros(len(self.units))
        if members is not None:
            shares[len(SPECIAL) :] = -np.log10(members)
        with path.open("w", encoding="utf-8") as stream:
            stream.write("\\data\\\n")
            stream.writelines(f"ngram {n}={size}\n" for n, size in enumerate(self.sizes(), 1))
            words: list[str] = list(self.units)
            for n, grams in enumerate(self._orders, 1):
                if n > 1:
                    words = [f"{words[h]} {self.units[w]}" for h, w in zip(grams.head, grams.last, strict=True)]
                stream.write(f"\n\\{n}-grams:\n")
                final = n == len(self._orders)
                for row in np.flatnonzero(grams.kept):
                    weight = "" if final else f"\t{grams.backoff[row]:.5f}"
                    stream.write(f"{grams.log10[row] + shares[grams.last[row]]:.5f}\t{words[row]}{weight}\n")
            stream.write("\n\\end\\\n")

    def _prune(self, adjusted: list[NDArray[np.int64]], cutoffs: Sequence[int]) -> None:
        """Mark what stays; a shorter n-gram that a kept one needs stays with it."""
        for grams, counts, cutoff in zip(self._orders, adjusted, cutoffs, strict=True):
            grams.kept = counts > cutoff
        self._orders[0].kept[:] = True
        for n in range(len(self._orders) - 1, 0, -1):
            grams, shorter = self._orders[n], self._orders[n - 1]
            shorter.kept[grams.head[grams.kept]] = True
            shorter.kept[grams.tail[grams.kept]] = True

    def _estimate(self, adjusted: list[NDArray[np.int64]], base: NDArray[np.float64], base_share: float) -> None:
        """Fill in probabilities and back-off weights, shortest n-grams first; single units fall back on ``base``."""
        shorter = base
        for n, (grams, counts) in enumerate(zip(self._orders, adjusted, strict=True)):
            contexts = 1 if n == 0 else len(self._orders[n - 1].last)
            head = np.zeros_like(grams.head) if n == 0 else grams.head
            tail = np.arange(len(base)) if n == 0 else grams.tail
            mass = np.maximum(counts - _discounts(counts), 0.0)
            total = np.bincount(head, counts, contexts)
            kept = np.bincount(head, np.where(grams.kept, mass, 0.0), contexts)
            with np.errstate(invalid="ignore", divide="ignore"):
                rest = np.where(total > 0, 1.0 - kept / total, 1.0)
                share = np.where(grams.kept, mass / total[head], 0.0)
            if n == 0:
                share, rest = share * (1.0 - base_share), 1.0 - (1.0 - rest) * (1.0 - base_share)
            probability = share + rest[head] * shorter[tail]
            grams.log10 = np.log10(np.maximum(probability, 1e-12))
            if n:
                self._orders[n - 1].backoff = np.log10(np.clip(rest, 1e-7, 1.0))
            shorter = probability
        self._orders[-1].backoff = np.zeros(len(self._orders[-1].last))
        self._orders[0].log10[self.units.index(BEGIN)] = _NEVER


def _count(sentences: Sequence[NDArray[np.int64]], units: int, order: int) -> list[_Order]:
    """Count n-grams of every length; each sentence stands between BEGIN and END."""
    begin, end = SPECIAL.index(BEGIN), SPECIAL.index(END)
    stream = np.concatenate([np.r_[begin, sentence + len(SPECIAL), end] for sentence in sentences])
    sentence = np.repeat(np.arange(len(sentences)), [len(units_) + 2 for units_ in sentences])
    ids = stream
    all_units = np.arange(units)
    nothing = np.zeros(units, np.int64)
    counts = np.bincount(stream, minlength=units)
    counts[begin] = 0  # never predicted
    orders = [_Order(nothing, all_units, nothing, counts, np.ones(units, bool), np.zeros(units), np.zeros(units))]
    for n in range(2, order + 1):
        starts = np.arange(len(stream) - n + 1)
        starts = starts[sentence[starts] == sentence[starts + n - 1]]
        keys, first, which, count = np.unique(
            ids[starts] * units + stream[starts + n - 1], return_index=True, return_inverse=True, return_counts=True
        )
        empty = np.zeros(len(keys))
        tail = ids[starts[first] + 1]
        orders.append(_Order(keys // units, keys % units, tail, count, np.ones(len(keys), bool), empty, empty))
        ids = np.full(len(stream), -1, np.int64)
        ids[starts] = which
    return orders


def _adjust(orders: list[_Order]) -> list[NDArray[np.int64]]:
    """Counts as Kneser-Ney sees them: distinct left neighbours, but raw for the longest and after BEGIN."""
    begins = np.arange(len(orders[0].last)) == SPECIAL.index(BEGIN)
    adjusted = []
    for n, grams in enumerate(orders):
        if n:
            begins = begins[grams.head]
        if n + 1 == len(orders):
            adjusted.append(grams.count)
            continue
        neighbours = np.bincount(orders[n + 1].tail, minlength=len(grams.last))
        adjusted.append(np.where(begins, grams.count, neighbours))
    return adjusted


def _discounts(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """What is taken off each count (Chen and Goodman 1998, equation 26)."""
    ones, twos, threes, fours = (max(1, int((counts == value).sum())) for value in (1, 2, 3, 4))
    y = ones / (ones + 2 * twos)
    by_count = [
        0.0,
        min(max(1 - 2 * y * twos / ones, 0.1), 1.0),
        min(max(2 - 3 * y * threes / twos, 0.1), 2.0),
        min(max(3 - 4 * y * fours / threes, 0.1), 3.0),
    ]
    result: NDArray[np.float64] = np.array(by_count)[np.minimum(counts, 3)]
    return result
