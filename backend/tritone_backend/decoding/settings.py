"""What a model folder says about decoding: tables `decoding`, `timing`, `confidence` of model.toml. Never searches."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tritone_backend.errors import ModelError
from tritone_backend.models.description import LANGUAGE_MODEL_FILE, read_table
from tritone_backend.spec import DESCRIPTION_FILE

DECODERS = ("auto", "greedy", "beam")


@dataclass(frozen=True)
class BeamSettings:
    """The search; its numbers were tuned on development data by `tritone model tune`.

    Attributes:
        language_model: file beside model.toml, or an absolute path; empty for none.
        lm_weight: natural log-prob of the network that a factor of ten in the language model weighs.
        unit_bonus: added for each unit of the language model; below zero for fewer and longer ones.
        blank_penalty: taken from the blank's natural log-prob in the search: a network in doubt says blank too often.
        beam: hypotheses kept.
        tokens: most likely classes tried a frame.
        threshold: hypotheses worse than the best by more are dropped.
    """

    language_model: str = ""
    lm_weight: float = 1.0
    unit_bonus: float = 0.0
    blank_penalty: float = 0.0
    beam: int = 25
    tokens: int = 5
    threshold: float = 15.0


@dataclass(frozen=True)
class Timing:
    """How far the sound lies from a word's letters: shifts in seconds of its first frame and of its last one's end."""

    word_start_shift: float = 0.0
    word_end_shift: float = 0.0


@dataclass(frozen=True)
class Calibration:
    """Logistic map from what the network thought of a word's letters to how often such a word is right.

    ``P = 1 / (1 + exp(-(bias + mean * log(m / (1 - m)) + weakest * log(w / (1 - w)))))`` of the geometric mean m and
    the least probability w of the letters (Platt 1999, on two inputs). Without a fit P is m.
    """

    bias: float = 0.0
    mean: float = 1.0
    weakest: float = 0.0


@dataclass(frozen=True)
class DecodingSettings:
    """All that a model folder says about decoding."""

    beam: BeamSettings = BeamSettings()
    timing: Timing = Timing()
    calibration: Calibration = Calibration()

    @classmethod
    def load(cls, directory: Path) -> DecodingSettings:
        """Read the tables of a model folder that `AcousticSpec.load` accepts; what is absent has its default.

        Raises:
            ModelError: an entry is unknown or mistyped.
        """
        path = directory / DESCRIPTION_FILE
        table = read_table(directory)
        if (directory / LANGUAGE_MODEL_FILE).is_file():
            table.setdefault("decoding", {}).setdefault("language_model", LANGUAGE_MODEL_FILE)
        return cls(
            _read(BeamSettings, table.get("decoding", {}), f"{path}: decoding"),
            _read(Timing, table.get("timing", {}), f"{path}: timing"),
            _read(Calibration, table.get("confidence", {}), f"{path}: confidence"),
        )


def _read(kind: Any, table: Any, where: str) -> Any:
    known: dict[str, type] = {field.name: type(field.default) for field in fields(kind)}
    if not isinstance(table, dict):
        raise ModelError(f"{where} must be a table")
    for name, value in table.items():
        if name not in known:
            raise ModelError(f"{where}.{name} is unknown: known are {', '.join(known)}")
        expected = (int, float) if known[name] is float else known[name]
        if not isinstance(value, expected) or isinstance(value, bool):
            raise ModelError(f"{where}.{name} must be a {known[name].__name__}, not {value!r:.40}")
    return kind(**{name: known[name](value) for name, value in table.items()})
