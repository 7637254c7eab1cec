"""Complete words of a path that grows and is corrected near its end: what stayed as it was is not read again."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

import numpy as np
from numpy.typing import NDArray

from tritone_backend.decoding.words import DecodedWord, Token, word_of
from tritone_backend.spec import AcousticSpec


class PathWords:
    """Reads the paths of one growing list of rows, one after the other.

    Work depends on how much of a path is new, not on how long it is.
    """

    def __init__(self, spec: AcousticSpec, before: Sequence[Token] = ()) -> None:
        """Begin.

        Args:
            spec: the acoustic model.
            before: letters and spaces in front of the first row.
        """
        self._spec = spec
        self._path: list[int] = []
        self._tokens = list(before)
        self._rows = [-1] * len(self._tokens)  # of each token
        self._words: list[DecodedWord] = []
        self._ends: list[int] = []  # of each word: how many tokens there are with the space behind it

    def read(self, path: list[int], rows: Sequence[NDArray[np.float32]], frames: Sequence[int]) -> list[DecodedWord]:
        """The words of a path behind which a space has come.

        Args:
            path: a class for each of the first rows.
            rows: float32 [classes] each, natural-log probabilities; those of the last call, and more.
            frames: the stream's frame that each row is.
        """
        spec, same = self._spec, _common(self._path, path)
        while self._rows and self._rows[-1] >= same:
            self._rows.pop()
            self._tokens.pop()
        while self._ends and self._ends[-1] > len(self._tokens):
            self._ends.pop()
            self._words.pop()
        self._path = path
        previous = path[same - 1] if same else spec.blank
        for row, index in enumerate(path[same:], same):
            if index not in (previous, spec.blank):
                self._tokens.append(Token(frames[row], spec.labels[index], exp(rows[row][index])))
                self._rows.append(row)
            previous = index
        begin = self._ends[-1] if self._ends else 0
        letters: list[Token] = []
        for number, token in enumerate(self._tokens[begin:], begin + 1):
            if token.character != " ":
                letters.append(token)
            elif letters:
                self._words.append(word_of(letters))
                self._ends.append(number)
                letters = []
        return list(self._words)


def _common(one: list[int], other: list[int]) -> int:
    """How many of their first elements two lists share, by halves: comparing slices costs next to nothing."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low
