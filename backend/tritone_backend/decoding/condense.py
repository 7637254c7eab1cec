"""Leaves out the frames that a CTC search need not see. Knows nothing of search or text.

A network trained with CTC says most letters in one or two frames and blank in all others. A run of frames with the same
most likely letter becomes its surest frame, a run of silence (blank and space) one frame. A frame of silence that may
be a letter stays by itself: the search decides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DOUBT = 0.15
"""Share of all letters together from which a frame of silence stays."""
_ALONE = -2
"""Below it every frame is a run of its own."""


class Condenser:
    """Condenses one phrase's log-probs as they come; the same phrase in other pieces gives the same frames.

    Args:
        blank: class of the CTC blank.
        space: class of the space between words.
    """

    def __init__(self, blank: int, space: int) -> None:
        self._blank = blank
        self._space = space
        self._run = -1  # class of the open run: a letter, or blank for silence; below zero a frame alone, or none
        self._row: NDArray[np.float32] | None = None
        self._frame = 0
        self._merit = 0.0

    def push(self, logprobs: NDArray[np.float32], frame: int) -> tuple[list[NDArray[np.float32]], list[int]]:
        """Take rows float32 [n, classes], natural logs of shares up to a factor; the first is stream frame ``frame``.

        Returns:
            The rows of the runs that ended, and the frame that each is.
        """
        rows: list[NDArray[np.float32]] = []
        frames: list[int] = []
        best = logprobs.argmax(axis=1).tolist()
        shares = np.exp(logprobs)
        quiet = shares[:, self._blank] + shares[:, self._space]
        doubtful = (quiet < (1.0 - DOUBT) * shares.sum(axis=1)).tolist()
        for offset, kind in enumerate(best):
            row = logprobs[offset]
            silence = kind in (self._blank, self._space)
            run = self._blank if silence else kind
            if silence and doubtful[offset]:
                run = _ALONE - frame - offset
            # Of silence the frame with the surest space stays, or where none is, the one with the least blank: a letter
            # that the network half heard.
            merit = float(row[self._space]) if kind == self._space else -100.0 - float(row[self._blank])
            if not silence:
                merit = float(row[kind])
            if run != self._run:
                self._emit(rows, frames)
                self._run = run
            elif merit <= self._merit:
                continue
            self._row, self._frame, self._merit = row, frame + offset, merit
        if self._row is not None:
            self._row = self._row.copy()  # the caller's memory is its own again
        return rows, frames

    def finish(self) -> tuple[list[NDArray[np.float32]], list[int]]:
        """End the phrase: the open run's row and frame, if any."""
        rows: list[NDArray[np.float32]] = []
        frames: list[int] = []
        self._emit(rows, frames)
        self._run = -1
        return rows, frames

    def _emit(self, rows: list[NDArray[np.float32]], frames: list[int]) -> None:
        if self._row is not None:
            rows.append(self._row)
            frames.append(self._frame)
            self._row = None
