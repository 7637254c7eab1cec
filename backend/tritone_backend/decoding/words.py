"""What decoding yields: characters, words and phrases with their frames. No search here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from tritone_backend.spec import AcousticSpec

FLOOR = 1e-9
"""Least probability of a character that a confidence reckons with."""


@dataclass(frozen=True)
class Token:
    """One decoded character and the stream frame where it first appeared."""

    frame: int
    character: str
    probability: float


@dataclass(frozen=True)
class DecodedWord:
    """A word with its frames [start, end) and two readings of how sure the network was.

    Attributes:
        text: its letters.
        start: frame of its first letter.
        end: frame after its last letter.
        confidence: geometric mean of its letters' probabilities.
        weakest: the least of them.
        letters: with their frames.
    """

    text: str
    start: int
    end: int
    confidence: float
    weakest: float
    letters: tuple[Token, ...]

    def behind(self, frame: int) -> DecodedWord | None:
        """What is left of it from a frame on, if anything is."""
        if frame <= self.start:
            return self
        left = [letter for letter in self.letters if letter.frame >= frame]
        return word_of(left) if left else None


@dataclass(frozen=True)
class DecodedPhrase:
    """A phrase's text, words and confidence, the geometric mean over all its characters."""

    text: str
    words: list[DecodedWord]
    confidence: float

    @classmethod
    def of(cls, words: list[DecodedWord]) -> DecodedPhrase:
        """Join words; each weighs with its number of letters."""
        letters = sum(len(word.text) for word in words)
        total = sum(len(word.text) * log(max(word.confidence, FLOOR)) for word in words)
        return cls(" ".join(word.text for word in words), words, exp(total / letters) if letters else 0.0)


def word_of(letters: Sequence[Token]) -> DecodedWord:
    """Join the characters of one word."""
    logs = [log(max(letter.probability, FLOOR)) for letter in letters]
    return DecodedWord(
        "".join(letter.character for letter in letters),
        letters[0].frame,
        letters[-1].frame + 1,
        exp(sum(logs) / len(logs)),
        exp(min(logs)),
        tuple(letters),
    )


def collapse(
    spec: AcousticSpec, rows: Sequence[NDArray[np.float32]], frames: Sequence[int], path: Sequence[int]
) -> list[Token]:
    """Letters and spaces of a CTC path.

    Args:
        spec: the acoustic model.
        rows: float32 [classes] each, natural-log probabilities.
        frames: the stream's frame that each row is.
        path: a class for each of the first rows.
    """
    tokens = []
    previous = spec.blank
    for row, frame, index in zip(rows, frames, path, strict=False):
        if index not in (previous, spec.blank):
            tokens.append(Token(frame, spec.labels[index], exp(row[index])))
        previous = index
    return tokens


def split_words(tokens: Sequence[Token]) -> list[DecodedWord]:
    """Words between spaces."""
    words: list[DecodedWord] = []
    letters: list[Token] = []
    for token in [*tokens, Token(0, " ", 1.0)]:
        if token.character != " ":
            letters.append(token)
        elif letters:
            words.append(word_of(letters))
            letters = []
    return words
