"""Where phrases begin and end, from one silence flag per frame. Incremental; knows nothing of text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# T-one's splitter, in frames of 30 ms: see docs/decisions.md.
SILENCE_THRESHOLD = 0.9
"""A frame is silent when P(space) + P(blank) exceeds this."""


@dataclass(frozen=True)
class Span:
    """Frames [start, end) of a phrase, counted from the stream's first output frame."""

    start: int
    end: int


class Endpointer:
    """Finds phrases frame by frame; work per frame is constant however long the phrase is.

    A phrase begins at the first speech frame after a separator and ends where the next separator begins. A separator
    is a run of ``min_silence`` silent frames; the stream is taken to follow one. A phrase that reaches ``max_phrase``
    frames is cut there, and what follows starts afresh.
    """

    def __init__(self, min_silence: int, max_phrase: int, first_frame: int = 0) -> None:
        """Args are in frames; frames before ``first_frame`` are not looked at (they were reported before)."""
        self._min_silence = min_silence
        self._max_phrase = max_phrase
        self._first = first_frame
        self._frame = 0
        self._quiet = 0
        self.start: int | None = None

    def push(self, silent: Iterable[bool]) -> list[Span]:
        """Take the next frames, one flag each, and return the phrases they closed, oldest first."""
        closed: list[Span] = []
        for is_silent in silent:
            frame = self._frame
            self._frame = frame + 1
            if frame < self._first:
                continue
            if is_silent:
                self._quiet += 1
            else:
                self._quiet = 0
                if self.start is None:
                    self.start = frame
            if self.start is None:
                continue
            if self._quiet >= self._min_silence:
                closed.append(Span(self.start, frame + 1 - self._quiet))
                self.start = None
            elif frame + 1 - self.start >= self._max_phrase:
                closed.append(Span(self.start, frame + 1))
                self.start = None
        return closed

    def finish(self) -> Span | None:
        """End the stream: the open phrase, without its trailing silence."""
        if self.start is None:
            return None
        span = Span(self.start, self._frame - self._quiet)
        self.start = None
        return span
