"""Greedy CTC over a batch of chunks, then text with times for one stream. Phrase boundaries come from outside."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from tritone_backend.decoding.words import FLOOR, DecodedPhrase, DecodedWord, Token, word_of
from tritone_backend.endpointing import SILENCE_THRESHOLD, Span
from tritone_backend.spec import AcousticSpec


@dataclass(frozen=True)
class FrameDecisions:
    """What greedy decoding reads off a batch of log-probs, one row a stream.

    Attributes:
        ids: int [B, frames], most likely class.
        probabilities: float32 [B, frames], its probability.
        silent: bool [B, frames], P(space) + P(blank) > 0.9.
        logprobs: float32 [B, frames, classes], what it was read off; valid until the network's next step.
    """

    ids: NDArray[np.intp]
    probabilities: NDArray[np.float32]
    silent: NDArray[np.bool_]
    logprobs: NDArray[np.float32]

    @classmethod
    def of(cls, logprobs: NDArray[np.float32], spec: AcousticSpec) -> FrameDecisions:
        """Read a float32 [B, frames, classes] batch of natural-log probabilities."""
        ids = logprobs.argmax(axis=-1)
        best = np.take_along_axis(logprobs, ids[..., None], axis=-1)[..., 0]
        quiet = np.exp(logprobs[..., spec.space]) + np.exp(logprobs[..., spec.blank])
        return cls(ids, np.exp(best), quiet > SILENCE_THRESHOLD, logprobs)


class GreedyDecoder:
    """Collapses one stream's decisions into characters and builds the open phrase from them.

    Work per chunk depends on the characters that the chunk brings, not on how long the phrase is.
    """

    def __init__(self, spec: AcousticSpec) -> None:
        self._labels = spec.labels
        self._blank = spec.blank
        self._frame = 0
        self._previous = spec.blank
        self._fresh: list[Token] = []
        self._phrase = _PhraseBuilder()

    def push(self, ids: list[int], probabilities: list[float]) -> bool:
        """Take one chunk's decisions; return whether they brought a character."""
        for offset, (index, probability) in enumerate(zip(ids, probabilities, strict=True)):
            if index != self._previous and index != self._blank:
                self._fresh.append(Token(self._frame + offset, self._labels[index], probability))
            self._previous = index
        self._frame += len(ids)
        return bool(self._fresh)

    def close(self, span: Span) -> DecodedPhrase:
        """Decode a phrase that ends in the chunk last pushed; later characters stay for the next one."""
        self._take(span.start, span.end)
        phrase = self._phrase.snapshot()
        self._phrase = _PhraseBuilder()
        return phrase

    def peek(self, start: int) -> DecodedPhrase:
        """Decode the open phrase, which began at frame ``start``, so far."""
        self._take(start, self._frame)
        return self._phrase.snapshot()

    def forget(self) -> None:
        """Drop the characters of a stretch outside phrases."""
        self._fresh.clear()

    def _take(self, start: int, end: int) -> None:
        """Move fresh characters of frames [start, end) into the phrase, drop earlier ones, keep later ones."""
        for token in self._fresh:
            if start <= token.frame < end:
                self._phrase.add(token)
        self._fresh = [token for token in self._fresh if token.frame >= end]


class _PhraseBuilder:
    """A phrase that grows a character at a time."""

    def __init__(self) -> None:
        self._text = ""
        self._words: list[DecodedWord] = []
        self._letters: list[Token] = []
        self._log_probability = 0.0
        self._count = 0

    def add(self, token: Token) -> None:
        if token.character == " ":
            if self._letters:
                self._words.append(word_of(self._letters))
                self._letters = []
            return
        if not self._letters and self._text:
            self._text += " "
        self._text += token.character
        self._letters.append(token)
        self._log_probability += log(max(token.probability, FLOOR))
        self._count += 1

    def snapshot(self) -> DecodedPhrase:
        words = [*self._words, word_of(self._letters)] if self._letters else list(self._words)
        return DecodedPhrase(self._text, words, exp(self._log_probability / self._count) if self._count else 0.0)
