"""What every measurement of the torch engine starts from: weights, a spec, speech-like samples, an engine."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tritone_backend.engines.torch_gpu import TorchEngine
from tritone_backend.spec import AcousticSpec

LABELS = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя "
FLOP_PER_CHUNK = 1.2877e9
"""Of the network as defined (facts of the public architecture), whatever an implementation saves."""
STATE_BYTES_PER_CHUNK = 0.556e6
"""Least traffic of the state: read once, new frames written once."""
WEIGHT_BYTES = 143.4e6


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201  # the tool's output


def t_one_weights(parity: Path, cache: Path | None = None) -> dict[str, Any]:
    """Return the fixture's 71.7 M weights, from ``cache`` if an earlier process left them there."""
    if cache is not None and cache.is_file():
        loaded: dict[str, Any] = torch.load(cache, weights_only=True)
        return loaded
    begin = time.perf_counter()
    spec = importlib.util.spec_from_file_location("parity_fill", parity / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    weights = {}
    for row in (parity / "t_one_parameters.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, shape, _ = row.split("\t")
        sizes = tuple(int(n) for n in shape.split("x")) if shape != "scalar" else ()
        weights[name] = torch.from_numpy(np.array(module.fill(name, sizes), np.float32))
    if cache is not None:
        torch.save(weights, cache)
    say(f"weights filled in {time.perf_counter() - begin:.1f} s")
    return weights


def t_one_spec() -> AcousticSpec:
    """Return the description of the public architecture; its graph does not exist."""
    return AcousticSpec(
        name="t-one",
        onnx=Path("model.onnx"),
        sample_rate=8000,
        chunk_samples=2400,
        padding_samples=2400,
        frame_seconds=0.03,
        frames_per_chunk=10,
        labels=LABELS,
        blank=len(LABELS),
        time_bias_seconds=0.33,
        state_size=219_729,
    )


def make_engine(
    weights: dict[str, Any], slots: int, ladder: Sequence[int], *, device: str = "cuda", **options: Any
) -> TorchEngine:
    """Create an engine with slots, reporting how long it took."""
    begin = time.perf_counter()
    engine = TorchEngine(t_one_spec(), device=device, ladder=ladder, weights=weights, progress=say, **options)
    engine.allocate(slots)
    say(f"engine ready in {time.perf_counter() - begin:.1f} s")
    return engine


def speech(streams: int, chunks: int, seed: int = 0) -> NDArray[np.int16]:
    """Return int16 [chunks, streams, 2400]: harmonics under an envelope, with noise."""
    rng = np.random.default_rng(seed)
    moment = np.arange(chunks * 2400) / 8000
    pitch = rng.uniform(90, 220, (streams, 1)) * moment
    voice = sum(np.sin(2 * np.pi * k * pitch + k) / k for k in range(1, 5))
    envelope = np.clip(np.sin(2 * np.pi * rng.uniform(1, 4, (streams, 1)) * moment), 0, 1)
    signal = 2500 * voice * envelope + 40 * rng.standard_normal((streams, chunks * 2400))
    return np.ascontiguousarray(signal.astype(np.int16).reshape(streams, chunks, 2400).swapaxes(0, 1))
