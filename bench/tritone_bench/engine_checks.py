"""Correctness of the torch engine on a GPU: the parity fixture, every kernel against plain PyTorch, independence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tritone_backend.engines.torch_gpu.network import StepNetwork
from tritone_backend.engines.torch_gpu.plain_ops import PlainOps
from tritone_backend.engines.torch_gpu.pool import META, SlotPool, Workspace

from tritone_bench.engine_setup import make_engine, say, speech

STEPS = (
    "prepare",
    "log_mel",
    "window",
    "normalise",
    "close",
    "upsample",
    "gate",
    "expand",
    "depthwise",
    "attend",
    "classify",
    "reduction_input",
)
SCRATCH = {"expand": frozenset({"work.wide"})}
"""Memory a step may leave anything in: the fused expansion never writes ``wide``, and the next step that reads it (the
convolution module) has its product fill it first. All other memory is compared, so that stray writes show."""


def parity(
    weights: dict[str, Any], fixture: Path, make: Callable[..., Any] = make_engine, **options: Any
) -> dict[str, Any]:
    """Run the fixture's 8 chunks; two streams in a batch with two others."""
    with np.load(fixture / "t_one_reference.npz") as arrays:
        signal, expected = arrays["signal"], arrays["logprobs"]
    engine = make(weights, 16, (1, 8), **options)
    others = speech(2, len(signal), seed=1)
    rng = np.random.default_rng(2)
    slots = np.array([11, 3, 7, 0], np.int32)
    worst, total, equal, margin = 0.0, [], 0, []
    for index, chunk in enumerate(signal):
        order = rng.permutation(4)
        rows = np.concatenate([chunk, others[index]])[order]
        got = np.empty((4, 10, 35), np.float32)
        got[order] = engine.step(rows, slots[order], np.full(4, index == 0))
        error = np.abs(got[:2] - expected[index])
        worst = max(worst, largest(error))
        total.append(float(error.mean()))
        same = got[:2].argmax(2) == expected[index].argmax(2)
        equal += int(same.sum())
        top = np.sort(expected[index], axis=2)
        margin += (top[..., -1] - top[..., -2])[~same].tolist()
    frames = expected[..., 0].size
    result = {
        "max_error": worst,
        "mean_error": float(np.mean(total)),
        "argmax_equal": equal / frames,
        "reference_margin_where_not": margin,
    }
    say(f"parity: max {worst:.2e}, mean {result['mean_error']:.2e}, arg-max equal in {equal} of {frames} frames")
    return result


class Compared:
    """Runs every step twice, by kernel and plainly, from the same memory, and notes the largest difference."""

    def __init__(self, kernels: Any, plain: PlainOps) -> None:
        self._kernels, self._plain = kernels, plain
        work, pool = plain.work, plain.pool
        self._memory = {f"work.{name}": getattr(work, name) for name in vars(work)}
        self._memory |= {f"pool.{name}": value for name, value in vars(pool).items() if name != "attention"}
        self._memory |= {f"pool.attention.{block}": value for block, value in pool.attention.items()}
        self.found: dict[str, dict[str, float]] = {name: {} for name in STEPS}

    def tune(self, tuning: Any) -> None:
        """Use other tiles from now on."""
        self._kernels.tuning = tuning

    def __getattr__(self, name: str) -> Any:
        if name not in STEPS:
            raise AttributeError(name)

        def step(*args: Any) -> None:
            before = {key: value.clone() for key, value in self._memory.items()}
            getattr(self._kernels, name)(*args)
            ours = {key: value.clone() for key, value in self._memory.items()}
            for key, value in self._memory.items():
                value.copy_(before[key])
            getattr(self._plain, name)(*args)
            for key, value in self._memory.items():
                if key in SCRATCH.get(name, ()):
                    continue
                worst = largest((ours[key].double() - value.double()).abs().cpu().numpy())
                if worst > 0:
                    seen = self.found[name]
                    seen[key] = max(worst, seen.get(key, 0.0))

        return step


def kernels(weights: dict[str, Any]) -> dict[str, Any]:
    """Compare every fused step with its plain form over five chunks of 3 streams, one of them new on the way."""
    from tritone_backend.engines.torch_gpu.kernels.launch import KernelOps
    from tritone_backend.engines.torch_gpu.kernels.tuning import Tuning

    engine = make_engine(weights, 4, (1,), plain=True)
    arch, packed, device = engine.arch, engine.packed, torch.device("cuda")
    pool = SlotPool.create(arch, 6, device, torch.float16)
    work = Workspace.create(arch, packed, 4, device, torch.float16)
    compared = Compared(KernelOps(arch, packed, pool, work), PlainOps(arch, packed, pool, work))
    network = StepNetwork(arch, packed, work, compared)
    signal = torch.from_numpy(speech(3, 5, seed=3)).to(device)
    for index in range(5):
        meta = torch.tensor([[4, index == 0], [1, index in (0, 2)], [0, index == 0]], dtype=torch.int32)
        work.inbox[:3, :4] = meta.view(torch.int16).to(device)
        work.inbox[:3, META:] = signal[index]
        network.step(3)
    normed, gated = work.rows("normed", 30, arch.d_model), work.rows("gated", 30, arch.ff_dim)
    for tiles in ((128, 128, 64, 8, 3), (64, 64, 64, 4, 3)):
        compared.tune(Tuning(expand=((0, tiles),)))
        for which in (0, 1):
            compared.expand(normed, packed.blocks[5].up[which], packed.blocks[5].up_bias[which], gated)
    for name, worst in compared.found.items():
        listed = ", ".join(f"{key} {value:.1e}" for key, value in sorted(worst.items()))
        say(f"  {name}: {listed or 'equal'}")
    return compared.found


def independence(
    weights: dict[str, Any],
    sizes: tuple[int, ...] = (1, 8, 64, 1024),
    make: Callable[..., Any] = make_engine,
    **options: Any,
) -> dict[str, float]:
    """Compare streams in the largest batch with the same streams in smaller ones, and with other slots."""
    chunks, top = 6, sizes[-1]
    signal = speech(top, chunks, seed=4)
    engine = make(weights, 2 * top, sizes, **options)
    slots = np.random.default_rng(5).permutation(2 * top)[:top].astype(np.int32)
    together = [engine.step(signal[i], slots, np.full(top, i == 0)).copy() for i in range(chunks)]
    found = {}
    for size in sizes[:-1]:
        streams = np.arange(size, dtype=np.int32) + top // 4
        errors = []
        for i in range(chunks):
            got = engine.step(signal[i, streams], streams[::-1].copy(), np.full(size, i == 0))
            errors.append(largest(np.abs(got - together[i][streams])))
        found[f"batch_{size}"] = max(errors)
    repeated = [engine.step(signal[i], slots[::-1].copy(), np.full(top, i == 0)).copy() for i in range(chunks)]
    found["other_slots"] = max(largest(np.abs(a - b)) for a, b in zip(together, repeated, strict=True))
    listed = ", ".join(f"{name} {error:.1e}" for name, error in found.items())
    say(f"independence, against a batch of {top}: {listed}")
    return found


def largest(error: NDArray[Any]) -> float:
    """Return the largest error; one that is not a number counts as infinite, since ``max`` would pass over it."""
    return float(np.where(np.isnan(error), np.inf, error).max(initial=0.0))
