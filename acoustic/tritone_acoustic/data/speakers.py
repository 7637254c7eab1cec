"""Which synthetic voices speak the training sentences, how often, and what each must be given to read.

The engine is in `rhvoice`, the respelling in `respelling`; drawing happens in `synthesis`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.respelling import plain, ukrainian


class Voice(NamedTuple):
    """One voice in the mix.

    Attributes:
        share: how often it is drawn, relative to the others.
        read: turns Russian text into what the voice reads.
    """

    share: float
    read: Callable[[str], str]


# All LGPL-2.1+: models may be trained on them and shipped. Aleksandr-hq is the speaker of Aleksandr and stays out.
# The voices of other languages have an accent but are further speakers; those that do best are heard most.
VOICES: Mapping[str, Voice] = {
    "Aleksandr": Voice(2.0, plain),
    "Anna": Voice(2.0, plain),
    "Elena": Voice(2.0, plain),
    "Irina": Voice(2.0, plain),
    "Natalia": Voice(1.5, ukrainian),
    "Anatol": Voice(1.0, ukrainian),
}
# The voices of the development set: Russian ones only, so that it measures the model and not an accent.
RUSSIAN_VOICES = tuple(name for name, voice in VOICES.items() if voice.read is plain)
# Voices under CC-BY-NC-ND: for private evaluation only, never for training, never committed. Marianna and Volodymyr
# (Ukrainian) have that licence too and are not used at all.
EVALUATION_VOICES = ("Pavel", "Victoria")


class VoiceDraw:
    """Draws a voice by its share, of those that a folder holds.

    Args:
        folder: RHVoice's folder, with voices/.

    Raises:
        TrainingDataError: it holds none of them.
    """

    def __init__(self, folder: Path) -> None:
        self.names = [name for name in VOICES if (folder / "voices" / name.lower()).is_dir()]
        self._shares = [VOICES[name].share for name in self.names]
        if not self.names:
            raise TrainingDataError(f"no known voice in {folder}: run `data fetch` and `data bundle`")

    def __call__(self, rng: random.Random) -> str:
        """Draws one.

        Args:
            rng: source of randomness.

        Returns:
            A name in VOICES.
        """
        return rng.choices(self.names, self._shares)[0]
