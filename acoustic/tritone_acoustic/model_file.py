"""Writes the description that stands beside a model's graph: `model.toml`.

Serving reads it with its own code; the format is the contract between the two.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritone_acoustic.config import SAMPLE_RATE, AcousticConfig

GRAPH_FILE = "model.onnx"
DESCRIPTION_FILE = "model.toml"


@dataclass(frozen=True)
class ModelCard:
    """What a graph cannot say about itself.

    Attributes:
        name: short name of the model.
        labels: character of each class but the blank.
        version: version of the weights.
        description: one line for people.
        language: BCP 47 tag.
        license: SPDX expression of the weights.
        time_bias: seconds by which the network's labels lag behind the sound.
        padding: samples of silence before and after an utterance in training.
    """

    name: str
    labels: str
    version: str = "1"
    description: str = ""
    language: str = "ru"
    license: str = ""
    time_bias: float = 0.33
    padding: int = 2400


def write_description(directory: Path, config: AcousticConfig, card: ModelCard) -> Path:
    """Write `model.toml` beside the finished graph, whose hash it holds.

    Returns:
        The file's path.
    """
    sha256 = hashlib.sha256((directory / GRAPH_FILE).read_bytes()).hexdigest()
    tables: dict[str, dict[str, Any]] = {
        "": {
            "name": card.name,
            "version": card.version,
            "description": card.description,
            "language": card.language,
            "license": card.license,
        },
        "audio": {
            "sample_rate": SAMPLE_RATE,
            "chunk_samples": config.chunk_samples,
            "padding_samples": card.padding,
        },
        "output": {
            "frame_seconds": config.frame_seconds,
            "frames_per_chunk": config.chunk_frames,
            "labels": card.labels,
            "blank": config.blank,
            "time_bias_seconds": card.time_bias,
        },
        "state": {"size": config.state_size, "dtype": "float16"},
        "files": {"onnx": GRAPH_FILE, "sha256": sha256},
        "architecture": config.to_dict(),
    }
    path = directory / DESCRIPTION_FILE
    path.write_text(_toml(tables), encoding="utf-8")
    return path


def _toml(tables: dict[str, dict[str, Any]]) -> str:
    # Strings, numbers and lists of numbers look the same in JSON and in TOML.
    sections = []
    for title, fields in tables.items():
        lines = [f"[{title}]"] if title else []
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
        sections.append("\n".join(lines) + "\n")
    return "\n".join(sections)
