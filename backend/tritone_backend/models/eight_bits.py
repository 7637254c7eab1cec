"""Adds the 8-bit form of a model to this user's models, and measures what the rounding does to its log-probs.

The rewriting of the graph is quantise.py's work.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_backend.models.add import add_model
from tritone_backend.models.calibrate import made_sound, noise_and_tones, read_sound
from tritone_backend.models.description import (
    GRAPH_FILE,
    LANGUAGE_MODEL_FILE,
    RARE_WORDS_SUFFIX,
    Description,
    read_table,
)
from tritone_backend.models.quantise import Quantised, quantise_graph
from tritone_backend.spec import AcousticSpec

CHUNKS, STREAMS = 10, 4
DECODING_TABLES = ("decoding", "timing", "confidence")


@dataclass(frozen=True)
class Difference:
    """How far two graphs are apart on the same signal.

    Attributes:
        largest: largest absolute difference of a log-prob.
        mean: mean absolute difference.
        equal: share of frames with the same best class.
        frames: frames compared.
    """

    largest: float
    mean: float
    equal: float
    frames: int

    @property
    def summary(self) -> str:
        """Return the numbers as text."""
        return f"at most {self.largest:.2g} off, {self.mean:.2g} on average, best class equal in {self.equal:.2%}"


def add_quantised(
    spec: AcousticSpec,
    name: str,
    *,
    replace_old: bool,
    recordings: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[AcousticSpec, Quantised, Difference]:
    """Build, compare and add.

    Args:
        spec: the model in full precision.
        name: of the new model.
        replace_old: overwrite a model of that name.
        recordings: folder of audio to calibrate on; by default sound that is made here.
        say: called with one line per step.

    Returns:
        The new model, what was rewritten, and the difference it makes.

    Raises:
        ModelError: the graph has no products to rewrite, the recordings do not serve, or the name is taken.
    """
    table = read_table(spec.onnx.parent)
    description = Description(
        name,
        labels=spec.labels,
        version=str(table.get("version", "1")),
        text=f"{table.get('description') or spec.name}, products in 8 bits",
        language=str(table.get("language", "")),
        license=str(table.get("license", "")),
        padding_samples=spec.padding_samples,
        time_bias_seconds=spec.time_bias_seconds,
        decoding={title: table[title] for title in DECODING_TABLES if title in table},
    )
    signal = read_sound(recordings, spec) if recordings else made_sound()
    say(f"calibrating on {signal.size / spec.sample_rate:.0f} s of {recordings or 'noise and tones'}")
    with tempfile.TemporaryDirectory() as scratch:
        graph = Path(scratch) / GRAPH_FILE
        done = quantise_graph(spec.onnx, graph, signal)
        say("comparing the 8-bit graph with the original")
        difference = compare_graphs(spec, graph, noise_and_tones(STREAMS, CHUNKS * spec.chunk_samples))
        made = add_model(graph, description, replace_old=replace_old, beside=_language_model(spec, table))
    return made, done, difference


def _language_model(spec: AcousticSpec, table: Mapping[str, Any]) -> list[Path]:
    """The files of a model's language model, unless it lies outside the model's folder."""
    named = str(table.get("decoding", {}).get("language_model", LANGUAGE_MODEL_FILE))
    file = spec.onnx.parent / named
    return (
        []
        if Path(named).is_absolute()
        else [path for path in (file, file.with_suffix(RARE_WORDS_SUFFIX)) if path.is_file()]
    )


def compare_graphs(spec: AcousticSpec, other: Path, signal: NDArray[np.int32]) -> Difference:
    """Run a model's graph and another one over the same streams, each with its own state.

    Args:
        spec: the model.
        other: graph of the same contract.
        signal: int32 [streams, samples], whole chunks.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    outputs = []
    for path in (spec.onnx, other):
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        state = np.zeros((len(signal), spec.state_size), np.float16)
        rows = []
        for start in range(0, signal.shape[1], spec.chunk_samples):
            inputs = {"signal": signal[:, start : start + spec.chunk_samples, None], "state": state}
            logprobs, state = session.run(["logprobs", "state_next"], inputs)
            rows.append(logprobs)
        outputs.append(np.concatenate(rows, axis=1))
    error = np.abs(outputs[0] - outputs[1])
    same = outputs[0].argmax(2) == outputs[1].argmax(2)
    return Difference(float(error.max()), float(error.mean()), float(same.mean()), same.size)
