"""Finds speech that a search's path leaves out although the network heard letters there. Searches nothing itself.

A lexicon search can end up with every hypothesis inside a unit that the sound does not go on with. All it can do then
is say blank to the end of the phrase; a rare word can make it skip a stretch the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tritone_backend.decoding.words import DecodedWord
from tritone_backend.spec import AcousticSpec

LOST_LETTERS = 4
"""Letters in a row without any from the path that are a gap; fewer are the language model's choice."""
_LEAST_SHARE = 0.6
_FEW_LETTERS = 5


def gap(
    spec: AcousticSpec, rows: Sequence[NDArray[np.float32]], path: Sequence[int], least: int = LOST_LETTERS
) -> tuple[int, int] | None:
    """The first stretch of a path that lacks letters.

    Args:
        spec: the acoustic model.
        rows: float32 [classes] each, condensed frames.
        path: a class for each row.
        least: lost letters that count as a gap.

    Returns:
        First row of the gap, and the row of the next space or the end, from where to search anew; None without a gap.
    """
    if not rows:
        return None
    silent = (spec.blank, spec.space)
    heard = np.argmax(np.stack(rows), axis=1).tolist()
    first, letter, count = -1, 0, 0
    for row, (best, chosen) in enumerate(zip(heard, path, strict=False)):
        if chosen != spec.blank:
            first, count = -1, 0
        elif best == spec.space and not count:
            first = row  # the space that the path leaves out with the letters behind it
        elif best not in silent:
            letter = letter if count else row
            first = letter if first < 0 else first
            count += 1
            if count >= least:
                return first, next((i for i in range(letter, len(heard)) if heard[i] == spec.space), len(heard))
    return None


def falls_short(found: Sequence[DecodedWord], greedy: Sequence[DecodedWord]) -> bool:
    """Whether a search's words have so many fewer letters than greedy decoding's that speech must be missing."""
    letters, heard = (sum(len(word.text) for word in words) for words in (found, greedy))
    return heard - letters >= _FEW_LETTERS and letters < _LEAST_SHARE * heard
