"""Writes `model.toml`, the description beside a graph, and shows it raw. What serving needs of it is in spec.py."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tritone_backend.models.graph import GraphSizes
from tritone_backend.spec import DESCRIPTION_FILE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GRAPH_FILE = "model.onnx"
LANGUAGE_MODEL_FILE = "language-model.bin"
"""The language model of a model folder, unless its description names another."""
RARE_WORDS_SUFFIX = ".words.xz"
"""In place of a language model's own: the list of words that it knows only by class."""
SAMPLE_RATE = 8000
T_ONE_LABELS = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя "
T_ONE_PADDING_SAMPLES = 2400
T_ONE_TIME_BIAS_SECONDS = 0.33


@dataclass(frozen=True)
class Description:
    """What a graph cannot say about itself; the defaults are those of the public T-one.

    Attributes:
        name: the model's name.
        labels: character of each class but the blank.
        version: version of the weights.
        text: one line for people.
        language: language of the speech, as a BCP 47 tag.
        license: SPDX expression of the weights.
        padding_samples: silence around an utterance in training.
        time_bias_seconds: lag of the labels behind the sound.
        decoding: tables that say how to decode it, by their titles.
    """

    name: str
    labels: str = T_ONE_LABELS
    version: str = "1"
    text: str = ""
    language: str = "ru"
    license: str = ""
    padding_samples: int = T_ONE_PADDING_SAMPLES
    time_bias_seconds: float = T_ONE_TIME_BIAS_SECONDS
    decoding: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def write_description(directory: Path, sizes: GraphSizes, description: Description) -> Path:
    """Write `model.toml` into a folder that already holds the graph.

    Returns:
        The file's path.
    """
    tables: dict[str, Mapping[str, Any]] = {
        "": {
            "name": description.name,
            "version": description.version,
            "description": description.text,
            "language": description.language,
            "license": description.license,
        },
        "audio": {
            "sample_rate": SAMPLE_RATE,
            "chunk_samples": sizes.chunk_samples,
            "padding_samples": description.padding_samples,
        },
        "output": {
            "frame_seconds": sizes.chunk_samples / SAMPLE_RATE / sizes.frames,
            "frames_per_chunk": sizes.frames,
            "labels": description.labels,
            "blank": sizes.classes - 1,
            "time_bias_seconds": description.time_bias_seconds,
        },
        "state": {"size": sizes.state, "dtype": "float16"},
        "files": {"onnx": GRAPH_FILE, "sha256": file_hash(directory / GRAPH_FILE)},
        **description.decoding,
    }
    sections = []
    for title, fields in tables.items():
        # JSON writes strings and numbers the way TOML reads them.
        lines = [f"[{title}]"] if title else []
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
        sections.append("\n".join(lines) + "\n")
    path = directory / DESCRIPTION_FILE
    path.write_text("\n".join(sections), encoding="utf-8")
    return path


def read_table(directory: Path) -> dict[str, Any]:
    """Return the whole description of a model folder that `AcousticSpec.load` accepts."""
    return tomllib.loads((directory / DESCRIPTION_FILE).read_text(encoding="utf-8"))


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
