"""Where the training material lies on disk.

Only locations; nothing here reads or writes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataPaths:
    """The layout of one data folder (default: `data/` in the working directory).

    Attributes:
        root: the folder that holds everything else.
    """

    root: Path

    @classmethod
    def default(cls) -> DataPaths:
        """Returns the folder named by TRITONE_DATA, else `data` in the working directory."""
        return cls(Path(os.environ.get("TRITONE_DATA", "data")))

    @property
    def debs(self) -> Path:
        """Downloaded packages."""
        return self.root / "debs"

    @property
    def packages(self) -> Path:
        """The unpacked packages, one tree as under `/`."""
        return self.root / "packages"

    @property
    def texts(self) -> Path:
        """Normalised sentences: train.tsv and dev.tsv."""
        return self.root / "texts"

    @property
    def sets(self) -> Path:
        """Evaluation sets and real recordings: NAME.npz."""
        return self.root / "sets"

    @property
    def voices(self) -> Path:
        """The synthesiser in the small: lib/, languages/, voices/."""
        return self.root / "voices"

    @property
    def festival(self) -> Path:
        """The unit-selection synthesiser: bin/, lib/, share/, voice/."""
        return self.root / "festival"

    @property
    def kokoro(self) -> Path:
        """The neural synthesiser of other languages: network.onnx, alphabet.json, voices.npz."""
        return self.root / "kokoro"

    @property
    def bundle(self) -> Path:
        """What travels to a training machine."""
        return self.root / "bundle"

    @property
    def festvox(self) -> Path:
        """The recorded Russian voice of festvox-ru."""
        return self.packages / "usr/share/festival/voices/russian/msu_ru_nsh_clunits"

    @property
    def frequencies(self) -> Path:
        """How common words are."""
        return self.root / "frequencies_ru.msgpack.gz"

    @property
    def wiktionary(self) -> Path:
        """Examples and definitions of words."""
        return self.root / "wikiwordnet.db"

    @property
    def asterisk_sounds(self) -> Path:
        """The Russian telephone prompts."""
        return self.packages / "usr/share/asterisk/sounds"

    @property
    def asterisk_text(self) -> Path:
        """What the Russian telephone prompts say."""
        return self.packages / "usr/share/doc/asterisk-core-sounds-ru/core-sounds-ru.txt.gz"
