"""What a graph file says about itself: sizes of its inputs and outputs, checked against the public contract.

Labels, padding and time bias are in no graph: they are described in description.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tritone_backend.errors import ModelError

CONTRACT = {
    "signal": ("tensor(int32)", 3),
    "state": ("tensor(float16)", 2),
    "logprobs": ("tensor(float)", 3),
    "state_next": ("tensor(float16)", 2),
}
"""Element type and rank of each input and output."""


@dataclass(frozen=True)
class GraphSizes:
    """Sizes of one step of one stream.

    Attributes:
        chunk_samples: samples per chunk.
        frames: output frames per chunk.
        classes: output classes, the blank included.
        state: values of the state.
    """

    chunk_samples: int
    frames: int
    classes: int
    state: int


def read_sizes(path: Path) -> GraphSizes:
    """Check a graph against the contract and run it for one silent chunk of two streams.

    Args:
        path: an ONNX file.

    Returns:
        Its sizes.

    Raises:
        ModelError: if ONNX Runtime is missing, or the file is no graph of the public contract.
    """
    try:
        import onnxruntime as ort
    except ModuleNotFoundError:
        raise ModelError("reading a graph needs ONNX Runtime: pip install 'tritone[onnxruntime]'") from None
    if not path.is_file():
        raise ModelError(f"{path} is not a file: name an ONNX graph")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # only a look: load fast
    options.log_severity_level = 4  # its complaints come as exceptions too, which is enough
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's exceptions share no public base
        raise ModelError(f"{path} is not a graph that ONNX Runtime can load: {_first_line(error)}") from error
    sizes = _sizes(path, [*session.get_inputs(), *session.get_outputs()])
    _try_step(path, session, sizes)
    return sizes


def _sizes(path: Path, values: Sequence[Any]) -> GraphSizes:
    found = {value.name: value for value in values}
    for name, (kind, rank) in CONTRACT.items():
        if name not in found:
            raise ModelError(f"{path} has no {name}: its inputs and outputs are {', '.join(sorted(found))}")
        value = found[name]
        if value.type != kind or len(value.shape) != rank:
            raise ModelError(f"{path}: {name} is {value.type} {value.shape}, expected {kind} of {rank} dimensions")
        fixed = [name for name in value.shape[1:] if not isinstance(name, int)]
        if fixed:
            raise ModelError(f"{path}: {name} has shape {value.shape}; only the batch may be variable")
        if isinstance(value.shape[0], int):
            raise ModelError(f"{path}: {name} has a fixed batch of {value.shape[0]}; export with a variable one")
    extra = sorted(set(found) - set(CONTRACT))
    if extra:
        raise ModelError(f"{path} has an input or output {extra[0]!r} that the contract does not know")
    signal, state = found["signal"].shape, found["state"].shape
    logprobs, following = found["logprobs"].shape, found["state_next"].shape
    if signal[2] != 1:
        raise ModelError(f"{path}: signal has shape {signal}, expected one channel")
    if state[1] != following[1]:
        raise ModelError(f"{path}: state has {state[1]} values, state_next {following[1]}; they must agree")
    return GraphSizes(signal[1], logprobs[1], logprobs[2], state[1])


def _try_step(path: Path, session: Any, sizes: GraphSizes) -> None:
    """Run two new streams through one chunk of silence: what comes out must be log-probabilities."""
    inputs = {
        "signal": np.zeros((2, sizes.chunk_samples, 1), dtype=np.int32),
        "state": np.zeros((2, sizes.state), dtype=np.float16),
    }
    try:
        (logprobs,) = session.run(["logprobs"], inputs)
    except Exception as error:
        raise ModelError(f"{path} fails on a chunk of silence: {_first_line(error)}") from error
    # The published graph rounds log-probs to float16, so a row's sum may be off by about a thousandth.
    if not np.allclose(np.exp(logprobs.astype(np.float64)).sum(axis=2), 1.0, atol=0.02):
        raise ModelError(f"{path}: logprobs are not natural logarithms of probabilities")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
