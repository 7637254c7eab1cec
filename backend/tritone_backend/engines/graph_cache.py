"""Keeps graphs that ONNX Runtime has optimised for this machine, so that a restart does not optimise again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from pathlib import Path

import onnxruntime as ort

from tritone_backend.engines.cache import cache_directory


def optimised_graph(model: Path, options: ort.SessionOptions) -> ort.InferenceSession:
    """Open ``model``, from the cache if it was optimised here before.

    The optimised form depends on the processor and on ONNX Runtime's version, so both are part of its name.
    A cache that cannot be written is not an error: the graph is then optimised at every start.
    """
    content = hashlib.sha256(model.read_bytes())
    content.update(f"{ort.__version__} {platform.machine()} {processor()}".encode())
    cached = cache_directory() / f"{model.stem}-{content.hexdigest()[:20]}.ort.onnx"
    providers = ["CPUExecutionProvider"]
    if cached.is_file():
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        with contextlib.suppress(Exception):  # a damaged cache file is replaced below
            return ort.InferenceSession(str(cached), options, providers=providers)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    draft = cached.with_suffix(f".{os.getpid()}")
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        draft.touch()
    except OSError:
        return ort.InferenceSession(str(model), options, providers=providers)
    options.optimized_model_filepath = str(draft)
    try:
        session = ort.InferenceSession(str(model), options, providers=providers)
        with contextlib.suppress(OSError):
            draft.replace(cached)
        return session
    finally:
        draft.unlink(missing_ok=True)


def processor() -> str:
    """The processor's flags, which decide which layout and which numbers are fastest."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
