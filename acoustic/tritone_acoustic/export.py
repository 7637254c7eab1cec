"""From a checkpoint to a model folder (graph and description), with a check against PyTorch before it is kept.

The graph itself is written in onnx_graph.py; reading checkpoints is done in checkpoint.py.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from tritone_acoustic.checkpoint import build_network, find_labels, infer_config, read_checkpoint, read_settings
from tritone_acoustic.config import SAMPLE_RATE, AcousticConfig
from tritone_acoustic.errors import AcousticError
from tritone_acoustic.model_file import GRAPH_FILE, ModelCard, write_description
from tritone_acoustic.network import AcousticModel
from tritone_acoustic.onnx_graph import build_model

TOLERANCE = {"fp32": 1e-3, "fp16": 1e-2}
"""Largest difference of a log-prob from PyTorch with float32 weights, by precision of the stored weights."""
CHECK_CHUNKS = 8
CHECK_STREAMS = 3


class ExportError(AcousticError):
    """The exported graph does not compute what PyTorch computes."""


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Attributes:
        directory: the model folder.
        config: sizes of the network.
        megabytes: size of the graph file, in 10^6 bytes.
        error: largest difference of a log-prob from PyTorch.
        tolerance: largest difference allowed.
    """

    directory: Path
    config: AcousticConfig
    megabytes: float
    error: float
    tolerance: float


def export_checkpoint(
    checkpoint: Path,
    directory: Path,
    *,
    card: Callable[[str], ModelCard],
    precision: str = "fp32",
    config_file: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Exported:
    """Write `model.onnx` and `model.toml`, after running the graph in ONNX Runtime against PyTorch.

    The folder is touched only when the check has passed.

    Args:
        checkpoint: `.pt` or `.safetensors` file.
        directory: model folder, made if missing.
        card: returns the description for given labels.
        precision: `fp32` or `fp16`: how weights are stored; arithmetic is float32 either way.
        config_file: architecture fields and labels that win over what the checkpoint tells.
        say: called with one line per step.

    Raises:
        AcousticError: if the checkpoint does not fit, or the folder cannot be written.
        ExportError: if the graph is off by more than the tolerance.
    """
    content = read_checkpoint(checkpoint)
    settings = {**content.settings, **(read_settings(config_file) if config_file else {})}
    config = infer_config(content.weights, settings)
    labels = find_labels(config, settings)
    model = build_network(content.weights, config)
    parameters = sum(value.numel() for value in model.parameters())
    say(f"{config.n_layers} blocks of {config.d_model}, {parameters / 1e6:.1f} M parameters")

    graph = network_graph(model, half=precision == "fp16", metadata={"name": card(labels).name})
    try:
        with tempfile.TemporaryDirectory(dir=directory.parent if directory.parent.is_dir() else None) as scratch:
            path = Path(scratch) / GRAPH_FILE
            onnx.save(graph, path)
            say(f"checking {CHECK_CHUNKS} chunks of {CHECK_STREAMS} streams in ONNX Runtime against PyTorch")
            error, tolerance = graph_error(path, model), TOLERANCE[precision]
            if not error <= tolerance:
                raise ExportError(f"the graph is off by {error:.2g}, more than {tolerance:g}: nothing was written")
            directory.mkdir(parents=True, exist_ok=True)
            size = path.stat().st_size
            shutil.move(path, directory / GRAPH_FILE)
        write_description(directory, config, card(labels))
    except OSError as problem:
        raise AcousticError(f"cannot write the model to {directory}: {problem.strerror or problem}") from problem
    return Exported(directory, config, size / 1e6, error, tolerance)


def network_graph(
    model: AcousticModel, *, half: bool = False, metadata: dict[str, str] | None = None
) -> onnx.ModelProto:
    """Return the streaming step of a network as an ONNX model; see `onnx_graph.build_model`."""
    weights = {
        name: value.detach().float().cpu().numpy()
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    return build_model(model.config, weights, half=half, metadata=metadata)


def graph_error(path: Path, model: AcousticModel) -> float:
    """Run a graph and a network side by side over some streams, each with its own state.

    Returns:
        The largest absolute difference of a log-prob.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    size = model.config.chunk_samples
    signal = speech_like(CHECK_STREAMS, CHECK_CHUNKS * size)
    state = model.initial_state(CHECK_STREAMS)
    graph_state = state.numpy()
    worst = 0.0
    with torch.inference_mode():
        for start in range(0, signal.shape[1], size):
            chunk = signal[:, start : start + size]
            inputs = {"signal": chunk[:, :, None], "state": graph_state}
            logprobs, graph_state = session.run(["logprobs", "state_next"], inputs)
            expected, state = model.step(torch.from_numpy(chunk), state)
            difference = np.abs(logprobs - expected.numpy())
            # NaN would win no comparison, so it must not get lost in a maximum.
            worst = max(worst, float(difference.max()) if np.isfinite(difference).all() else float("inf"))
    return worst


def speech_like(streams: int, samples: int, seed: int = 0) -> NDArray[np.int32]:
    """Return synthetic voices: harmonics of a moving pitch under syllable-like envelopes, with noise and pauses.

    Returns:
        int32 [streams, samples] within 16 bits, 8 kHz.
    """
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / SAMPLE_RATE
    signal: NDArray[Any] = np.empty((streams, samples))
    for row in signal:
        pitch = rng.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(1, 4) * time))
        phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
        voice = sum(np.sin(k * phase + rng.uniform(0, 2 * np.pi)) / k for k in range(1, 14))
        envelope = np.clip(np.sin(2 * np.pi * rng.uniform(1, 4) * time + rng.uniform(0, 6)), 0.0, 1.0)
        row[:] = rng.uniform(500, 8000) * voice * envelope + 30.0 * rng.standard_normal(samples)
    whole: NDArray[np.int32] = np.clip(np.rint(signal), -32768, 32767).astype(np.int32)
    return whole
