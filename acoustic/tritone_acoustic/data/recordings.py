"""Recorded speech, whole and in phrases, given to other speakers.

Where recordings may be cut is in `breaths`, how speakers are changed in `conversion`.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.audio import Clip, read_set
from tritone_acoustic.data.breaths import phrases
from tritone_acoustic.data.conversion import convert, draw

WHOLE = 0.3
"""Share of whole recordings; of those that are cut, the others are phrases."""
_SETS = ("festvox_train", "stamps_train")


def read_recordings(sets: Path) -> tuple[list[Clip], list[Clip]]:
    """Reads the recorded training sets.

    Args:
        sets: their folder.

    Returns:
        Whole recordings, and runs of phrases of those whose pauses are known.
    """
    whole: list[Clip] = []
    parts: list[Clip] = []
    for name in _SETS:
        if Path(f"{sets / name}.tsv").exists():  # older bundles lack some
            clips = read_set(sets / name)
            whole += clips
            parts += phrases(clips, sets / f"{name}.cuts")
    return whole, parts


class ConvertedRecordings:
    """Draws recordings in other voices.

    Args:
        sets: folder of the recorded sets.
        rng: source of randomness.
    """

    def __init__(self, sets: Path, rng: random.Random) -> None:
        self._rng = rng
        self._whole, self._parts = read_recordings(sets)

    def utterance(self) -> tuple[str, NDArray[np.int16]]:
        """Draws one.

        Returns:
            Normalised transcript and int16 [n] samples at 8 kHz.
        """
        rng = self._rng
        whole = not self._parts or rng.random() < WHOLE
        clip = rng.choice(self._whole if whole else self._parts)
        return clip.text, convert(clip.samples, draw(rng), rng.getrandbits(32))
