"""Everything around TensorRT's one call, with a plain PyTorch module in its place: the dense pool under CUDA graphs.

What this leaves unproven is tensorrt/runtime.py: contexts, addresses and execute_async_v3.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tritone_backend.engines.tensorrt.engine import VectorEngine
from tritone_backend.engines.torch_gpu.vector import DenseWork

from tritone_bench import engine_checks
from tritone_bench.engine_setup import say, speech, t_one_spec
from tritone_bench.engine_timing import in_flight, settle


class ModuleNetwork:
    """A :class:`tritone_backend.engines.torch_gpu.vector.DenseNetwork` that is the acoustic package's module."""

    def __init__(self, module: Any, work: DenseWork) -> None:
        self._module, self._work = module, work

    def enqueue(self, batch: int) -> None:
        """Run the module; the copies stand for a network that writes its outputs in place."""
        work = self._work
        with torch.inference_mode():
            logprobs, following = self._module.step(work.signal[:batch], work.state[:batch])
            work.logprobs[:batch].copy_(logprobs)
            work.state_next[:batch].copy_(following)


def module_engine(
    weights: dict[str, Any], slots: int, ladder: Sequence[int], device: str = "cuda", *, half: bool = False
) -> VectorEngine:
    """Return an engine of the plain module: float32, whose errors are the pool's alone, or float16 to be timed."""
    from tritone_acoustic.network import AcousticModel

    module = AcousticModel()
    module.load_state_dict(weights)
    module = module.to(device).eval()
    if half:
        module.half()
        module.features.float()
    engine = VectorEngine(t_one_spec(), lambda work: ModuleNetwork(module, work), tuple(ladder), device=device)
    engine.allocate(slots)
    return engine


def vector(weights: dict[str, Any], fixture: Path) -> dict[str, Any]:
    """Check parity and independence of the dense pool around the plain module, and time it."""
    found: dict[str, Any] = engine_checks.parity(weights, fixture, make=module_engine)
    found["independence"] = engine_checks.independence(weights, (1, 8, 64), make=module_engine)
    engine = module_engine(weights, 2048, (64, 1024), half=True)
    signal = speech(1024, 1)[0]
    for size in (64, 1024):
        rows, old = np.random.default_rng(0).permutation(2048)[:size].astype(np.int32), np.zeros(size, bool)
        settle(engine, signal[:size], rows)
        found[f"chunks_per_s_{size}"] = in_flight(engine.runner, signal[:size], rows, old, 0.4)
        say(f"dense pool around the plain module, batch {size}: {found[f'chunks_per_s_{size}']:.0f} chunks/s")
    return found
