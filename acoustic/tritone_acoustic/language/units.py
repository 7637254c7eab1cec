"""The units of the language model: frequent words whole, all others in pieces, so that no word is unknown.

A piece that goes on where a word stands so far begins with '+': 'бес', '+конеч', '+но'. Whether 'бес' is a word or
the beginning of one is for the n-grams to say: marking it gave more work in the search and no fewer errors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import pairwise

JOINT = "+"


class Pieces:
    """Splits words by byte-pair merges learnt from a list of words (Sennrich et al. 2016).

    Args:
        words: distinct words to learn from.
        merges: number of merges to learn.
    """

    def __init__(self, words: Iterable[str], merges: int) -> None:
        self._rank: dict[tuple[str, str], int] = {}
        spelt = [list(word) for word in sorted(words)]
        where: dict[tuple[str, str], set[int]] = {}
        totals: Counter[tuple[str, str]] = Counter()
        for number, pieces in enumerate(spelt):
            for pair in pairwise(pieces):
                totals[pair] += 1
                where.setdefault(pair, set()).add(number)
        queue = [(-total, pair) for pair, total in totals.items()]
        heapify(queue)
        while queue and len(self._rank) < merges:
            total, best = heappop(queue)
            if total != -totals[best]:  # an old entry: the pair has become rarer
                if totals[best] > 0:
                    heappush(queue, (-totals[best], best))
                continue
            self._rank[best] = len(self._rank)
            grown: set[tuple[str, str]] = set()
            for number in where.pop(best):
                old = spelt[number]
                totals.subtract(pairwise(old))
                new = spelt[number] = _merge(old, best)
                for pair in pairwise(new):
                    totals[pair] += 1
                    where.setdefault(pair, set()).add(number)
                    if best[0] + best[1] in pair:
                        grown.add(pair)
            totals[best] = 0
            for pair in grown:
                heappush(queue, (-totals[pair], pair))

    def split(self, word: str) -> list[str]:
        """Split a word into pieces; all but the first are marked as going on."""
        pieces = list(word)
        while len(pieces) > 1:
            pair = min(pairwise(pieces), key=lambda p: self._rank.get(p, len(self._rank)))
            if pair not in self._rank:
                break
            pieces = _merge(pieces, pair)
        return [pieces[0], *(JOINT + piece for piece in pieces[1:])]


def letter_pieces(letters: str) -> list[str]:
    """Every letter as a piece at the beginning of a word and inside one."""
    return [form for letter in letters for form in (letter, JOINT + letter)]


def _merge(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    i = 0
    while i < len(pieces):
        if i + 1 < len(pieces) and (pieces[i], pieces[i + 1]) == pair:
            merged.append(pieces[i] + pieces[i + 1])
            i += 2
        else:
            merged.append(pieces[i])
            i += 1
    return merged
