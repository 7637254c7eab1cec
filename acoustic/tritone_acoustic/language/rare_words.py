"""Words that are too rare to be units of the language model, in classes: how common they are and how they end.

In Russian an ending carries case, number and person: a class says which words fit beside it, and its members share its
probability alike. The decoder finds a word's class by the same rule: `tritone_backend.decoding.rare_words`.
"""

from __future__ import annotations

import lzma
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

CLASS = "*"
GROUPS = 4
"""Each group has twice the words of the more common one before it."""
LONGEST_ENDING = 3
MOST_ENDINGS = {3: 150, 2: 100, 1: 40}
"""Endings that make a class of their own, by their letters."""
LEAST_WORDS = 300
"""Words that an ending must have for that."""


class RareWords:
    """The classes.

    Args:
        words: distinct, the most common first.
        whole: words that are units of their own.

    Attributes:
        groups: the words of every group, the common ones first.
        members: class -> its words.
    """

    def __init__(self, words: Sequence[str], whole: Container[str]) -> None:
        rare = [word for word in words if word not in whole]
        ends = [0] + [len(rare) * (2 ** (n + 1) - 1) // (2**GROUPS - 1) for n in range(GROUPS)]
        self.groups = [rare[first:end] for first, end in pairwise(ends)]
        endings = _endings(rare)
        self._class_of = {
            word: f"{CLASS}{number}{_ending(word, endings)}"
            for number, group in enumerate(self.groups)
            for word in group
        }
        self.members: dict[str, list[str]] = {}
        for word, name in self._class_of.items():
            self.members.setdefault(name, []).append(word)

    def class_of(self, word: str) -> str | None:
        """The class of a word, None when it is not in the list."""
        return self._class_of.get(word)

    def write(self, path: Path) -> None:
        """Write the words: a line each, an empty line between groups, sorted, xz."""
        text = "\n\n".join("\n".join(sorted(group)) for group in self.groups)
        path.write_bytes(lzma.compress(f"{text}\n".encode(), preset=9))


def _endings(words: Iterable[str]) -> frozenset[str]:
    """The most frequent endings of every length."""
    counts: dict[int, Counter[str]] = {length: Counter() for length in MOST_ENDINGS}
    for word in words:
        for length, counter in counts.items():
            if len(word) > length:
                counter[word[-length:]] += 1
    return frozenset(
        ending
        for length, counter in counts.items()
        for ending, count in counter.most_common(MOST_ENDINGS[length])
        if count >= LEAST_WORDS
    )


def _ending(word: str, endings: Container[str]) -> str:
    """The longest known ending that is shorter than the word; empty when there is none."""
    longest = min(LONGEST_ENDING, len(word) - 1)
    return next((word[-n:] for n in range(longest, 0, -1) if word[-n:] in endings), "")
