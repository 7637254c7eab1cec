"""Times single steps of the torch engine on a GPU under other tile sizes, and every matrix product by itself."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import torch
from tritone_backend.engines.torch_gpu.kernels.launch import KernelOps
from tritone_backend.engines.torch_gpu.kernels.tuning import Tuning
from tritone_backend.engines.torch_gpu.pool import SlotPool, Workspace

from tritone_bench.engine_setup import make_engine, say


def graph_time(call: Callable[[], None], calls: int = 10, replays: int = 5) -> float:
    """Return microseconds of one call: the least of several replays of a graph of many calls."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        call()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for _ in range(calls):
            call()
    best = float("inf")
    for _ in range(replays):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        best = min(best, 1e3 * begin.elapsed_time(end) / calls)
    return best


def sweep(weights: dict[str, Any], batch: int, deadline: float) -> dict[str, Any]:
    """Measure steps and products of one batch size until ``deadline`` (perf_counter seconds)."""
    engine = make_engine(weights, 2, (1,))
    arch, packed, device = engine.arch, engine.packed, torch.device("cuda")
    pool = SlotPool.create(arch, batch, device, torch.float16)
    work = Workspace.create(arch, packed, batch, device, torch.float16)
    ops = KernelOps(arch, packed, pool, work)
    for name in vars(work):
        tensor = getattr(work, name)
        if tensor.is_floating_point():
            tensor.normal_()
    work.row_slot.copy_(torch.randperm(batch, device=device, dtype=torch.int32))
    work.row_count.fill_(4)
    work.inbox_words[:, 0].copy_(work.row_slot)
    work.inbox_words[:, 1] = 0
    rows, d, ff = 10 * batch, arch.d_model, arch.ff_dim
    found: dict[str, Any] = {}

    def timed(label: str, call: Callable[[], None], tuning: Tuning | None = None) -> None:
        if time.perf_counter() > deadline:
            return
        ops.tuning = tuning or Tuning()
        try:
            found[label] = graph_time(call)
            say(f"  {label}: {found[label]:.1f} us")
        except Exception as error:  # a tile that does not fit this card is a result, not a failure
            found[label] = str(error)[:100]
            say(f"  {label}: {type(error).__name__} {str(error)[:100]}")

    normed, x = work.rows("normed", rows, d), work.rows("full", rows, d)
    wide, gated = work.rows("wide", rows, 2 * ff), work.rows("gated", rows, ff)
    double, mixed = work.rows("wide", rows, 2 * d), work.rows("mixed", rows, d)
    block = packed.blocks[1]
    say(f"steps and products of a batch of {batch}")
    timed("mm up", lambda: torch.mm(normed, block.up[0], out=wide))
    timed("mm down", lambda: x.addmm_(gated, block.down[0]))
    timed("mm values", lambda: torch.mm(normed, block.attention_in, out=mixed))
    timed("mm pointwise1", lambda: torch.mm(normed, block.pointwise1, out=double))
    timed("mm pointwise2", lambda: x.addmm_(mixed, block.pointwise2))
    half = rows // 2
    timed("mm up, half rate", lambda: torch.mm(normed[:half], block.up[0], out=wide[:half]))
    timed("mm down, half rate", lambda: x[:half].addmm_(gated[:half], block.down[0]))
    encoded = work.rows("encoded", rows, packed.encode.shape[0])
    timed("mm encode", lambda: torch.mm(encoded, packed.encode, out=x))
    hops, spectrum = work.hops.view(-1, 80), work.spectrum.view(-1, 324)
    timed("mm spectrum (float32)", lambda: torch.mm(hops, packed.spectrum, out=spectrum))
    timed("prepare", lambda: ops.prepare(batch))
    timed("log_mel", lambda: ops.log_mel(batch))
    timed("attend, own scores", lambda: ops.attend(work.rows("heads", rows, 3 * d), 0, batch, mixed))
    timed("attend, shared", lambda: ops.attend(work.rows("heads", rows, d), 1, batch, mixed))
    timed("attend, cache", lambda: ops.attend(work.rows("heads", rows, 3 * d), arch.n_layers - 1, batch, mixed))
    timed("classify", lambda: ops.classify(x, batch))
    timed("close", lambda: ops.close(x, block.biases[4], block.norm_out, x, normed))
    base = Tuning()
    for tile, warps in ((1, 1), (2, 2), (4, 4), (8, 8), (4, 2), (8, 4)):
        norm = dataclasses.replace(base, norm=(tile, warps))
        timed(f"normalise {tile} rows {warps} warps", lambda: ops.normalise(x, block.biases[1], normed), norm)
    for gate in ((4, 512, 8), (2, 512, 4), (1, 512, 2), (8, 512, 8), (4, 256, 4), (1, 2048, 8)):
        timed(f"gate {gate}", lambda: ops.gate(wide, block.up_bias[0], gated), dataclasses.replace(base, gate=gate))
    for tiles in (
        None,
        (128, 128, 64, 8, 3),
        (128, 128, 64, 8, 4),
        (128, 64, 64, 4, 3),
        (128, 64, 64, 8, 4),
        (64, 128, 64, 4, 4),
        (64, 64, 64, 4, 4),
        (64, 32, 64, 4, 4),
        (32, 32, 128, 4, 3),
    ):
        tuning = dataclasses.replace(base, expand=((0, tiles),))
        label = f"expand {tiles or 'by cuBLAS and gate'}"
        timed(label, lambda: ops.expand(normed, block.up[0], block.up_bias[0], gated), tuning)
        timed(
            f"{label}, half rate",
            lambda: ops.expand(normed[:half], block.up[0], block.up_bias[0], gated[:half]),
            tuning,
        )
    for depthwise in ((128, 2), (64, 1), (128, 4), (64, 2), (128, 1), (512, 8)):
        tuning = dataclasses.replace(base, depthwise=depthwise)
        timed(f"depthwise {depthwise}", lambda: ops.depthwise(double, 1, batch, mixed), tuning)
    for index, tiles in (
        (1, (128, 128, 64, 8, 4)),
        (1, (128, 128, 64, 4, 4)),
        (1, (128, 128, 64, 4, 3)),
        (1, (256, 128, 64, 8, 3)),
        (1, (128, 64, 64, 4, 4)),
        (1, (64, 128, 64, 4, 4)),
        (1, (128, 128, 128, 8, 3)),
        (0, (128, 128, 32, 8, 4)),
        (0, (128, 128, 32, 4, 4)),
        (0, (64, 128, 32, 4, 4)),
        (0, (128, 128, 32, 8, 2)),
        (0, (256, 128, 32, 8, 3)),
    ):
        tuning = dataclasses.replace(base, windows=((0, *tiles),))
        timed(f"convolution {'AB'[index]} {tiles}", functools.partial(ops.window, index, batch), tuning)
    return found
