"""What the rest of the service must know of an acoustic model, read from its ``model.toml``. No weights here."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritone_backend.errors import ModelError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DESCRIPTION_FILE = "model.toml"
MAX_SIZE = 10_000_000


@dataclass(frozen=True)
class AcousticSpec:
    """Sizes, labels and timing of one acoustic model.

    Attributes:
        name: the model's name, for people.
        onnx: path of the graph with the public T-one contract.
        sample_rate: samples per second of the network's input.
        chunk_samples: samples per network step and stream.
        padding_samples: zeros the network was trained to hear before and after a stream.
        frame_seconds: duration of one output frame.
        frames_per_chunk: output frames per network step.
        labels: one character per non-blank class, in class order, the space included.
        blank: index of the CTC blank.
        time_bias_seconds: how much later than the sound the network emits its label, on average.
        state_size: values of one stream's recurrent state.
        int8: whether its words were measured with 8-bit products too and are as good, so that these may be chosen.
    """

    name: str
    onnx: Path
    sample_rate: int
    chunk_samples: int
    padding_samples: int
    frame_seconds: float
    frames_per_chunk: int
    labels: str
    blank: int
    time_bias_seconds: float
    state_size: int
    int8: bool = False

    @property
    def classes(self) -> int:
        """Number of output classes, the blank included."""
        return len(self.labels) + 1

    @property
    def space(self) -> int:
        """Class index of the space between words."""
        return self.labels.index(" ")

    @property
    def chunk_seconds(self) -> float:
        """Duration of one chunk in seconds."""
        return self.chunk_samples / self.sample_rate

    @classmethod
    def load(cls, directory: Path) -> AcousticSpec:
        """Read ``model.toml`` of a model folder and check that its files are there.

        Raises:
            ModelError: a file is missing, or an entry is absent, mistyped or contradicts another.
        """
        description = directory / DESCRIPTION_FILE
        if not description.is_file():
            raise ModelError(
                f"{directory} has no {DESCRIPTION_FILE}: make one with `tritone model add` or `tritone model export`"
            )
        try:
            table = tomllib.loads(description.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ModelError(f"{description} is not valid TOML: {str(error)[:200]}") from None
        except OSError as error:
            raise ModelError(f"{description} cannot be read: {error.strerror}") from None
        spec = cls(
            name=_entry(table, description, "name", str),
            onnx=directory / _entry(table, description, "files.onnx", str),
            sample_rate=_entry(table, description, "audio.sample_rate", int),
            chunk_samples=_entry(table, description, "audio.chunk_samples", int),
            padding_samples=_entry(table, description, "audio.padding_samples", int),
            frame_seconds=float(_entry(table, description, "output.frame_seconds", (int, float))),
            frames_per_chunk=_entry(table, description, "output.frames_per_chunk", int),
            labels=_entry(table, description, "output.labels", str),
            blank=_entry(table, description, "output.blank", int),
            time_bias_seconds=float(_entry(table, description, "output.time_bias_seconds", (int, float))),
            state_size=_entry(table, description, "state.size", int),
            int8=_flag(table, description, "precision", "int8"),
        )
        spec._check(description)
        return spec

    def _check(self, description: Path) -> None:
        """Refuse contradictions that would only show as wrong words later."""
        if not self.onnx.is_file():
            raise ModelError(f"{self.onnx} is missing, yet {description} names it: restore the file or export anew")
        problem = None
        sizes = (self.sample_rate, self.chunk_samples, self.frames_per_chunk, self.state_size)
        if not (min(sizes) > 0 and max(sizes) < MAX_SIZE and 0 <= self.padding_samples < MAX_SIZE):
            problem = f"sizes and rates must be 1 to {MAX_SIZE - 1}, padding_samples 0 or more"
        elif not (0 < self.frame_seconds <= 60 and 0 <= self.time_bias_seconds <= 60):
            problem = "frame_seconds and time_bias_seconds must be numbers of seconds up to 60"
        elif not (self.name.isprintable() and self.labels.isprintable()):
            problem = "name and labels must be characters that can be printed"
        elif self.padding_samples % self.chunk_samples:
            problem = f"padding_samples must be a multiple of chunk_samples ({self.chunk_samples})"
        elif abs(self.frames_per_chunk * self.frame_seconds - self.chunk_seconds) > 1e-6:
            problem = "frames_per_chunk x frame_seconds is not the length of a chunk"
        elif self.blank != len(self.labels):
            problem = f"blank must be the last class ({len(self.labels)}), not {self.blank}"
        elif " " not in self.labels or len(set(self.labels)) != len(self.labels):
            problem = "labels must be distinct characters with a space among them"
        if problem:
            raise ModelError(f"{description}: {problem}")


def _entry(table: dict[str, Any], source: Path, path: str, kind: type | tuple[type, ...]) -> Any:
    """Return the entry ``a.b`` of a nested table, or say what is missing or mistyped."""
    value: Any = table
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            raise ModelError(f"{source} lacks {path}: export the model anew or add the entry")
        value = value[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ModelError(f"{source}: {path} has the wrong type ({type(value).__name__})")
    return value


def _flag(table: dict[str, Any], source: Path, title: str, key: str) -> bool:
    """Return the entry ``title.key``, False where there is none, or say that it is neither true nor false."""
    section = table.get(title, {})
    value = section.get(key, False) if isinstance(section, dict) else None
    if not isinstance(value, bool):
        raise ModelError(f"{source}: {title}.{key} must be true or false")
    return value
