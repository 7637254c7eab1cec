"""Times replays of a GPU engine's graphs with events of the device, with and without copies of audio and log-probs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from tritone_bench.engine_cost import chunk_cost, gpu_ceilings
from tritone_bench.engine_rates import Timing, rates, summary
from tritone_bench.engine_setup import say
from tritone_bench.engine_timing import settle

GROUP = 10
"""Replays between two waits of the host, which would otherwise run ahead without bound."""


def device_times(engine: Any, batch: int, timing: Timing) -> dict[str, list[float]]:
    """Return seconds of every replay: ``device`` with the transfers, ``device_no_transfers`` without.

    Both replay what the engine's last step left in its staging areas, so streams must be running by then.
    """
    runner = engine.runner
    rung = next(size for size in engine._ladder if size >= batch)
    bare = torch.cuda.CUDAGraph()
    stream = runner._stream
    with torch.cuda.stream(stream):
        engine.network.step(rung)
    stream.synchronize()
    with torch.cuda.graph(bare, stream=stream):
        engine.network.step(rung)

    def alone(turn: int) -> None:
        with torch.cuda.stream(stream):
            bare.replay()

    return {
        "device": replay_times(lambda turn: runner.launch(batch, turn % 2), stream, timing),
        "device_no_transfers": replay_times(alone, stream, timing),
    }


def replay_times(launch: Callable[[int], None], stream: Any, timing: Timing) -> list[float]:
    """Launch back to back and return the seconds between the ends of neighbours.

    The first of a group is left out: it also pays for its own launch, since the queue had run dry.
    """
    times: list[float] = []
    end = time.perf_counter() + timing.warm_up
    while time.perf_counter() < end:
        launch(0)
        stream.synchronize()
    begin = time.perf_counter()
    while len(times) < max(timing.iterations, timing.avg_runs) or time.perf_counter() - begin < timing.duration:
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(GROUP + 1)]
        for turn, mark in enumerate(marks):
            launch(turn)
            mark.record(stream)
        marks[-1].synchronize()
        times += [before.elapsed_time(after) / 1e3 for before, after in pairwise(marks)]
    return times


def ladder_against_ceilings(engine: Any, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Time every batch size on the device, with and without transfers, against ceilings measured just before."""
    ceilings, cost = gpu_ceilings(), chunk_cost(asdict(engine.arch))
    say(f"ceilings: {ceilings.tflops:.0f} TFLOP/s, {ceilings.gbs:.0f} GB/s ({ceilings.kind})")
    found: dict[str, Any] = {"ceilings": asdict(ceilings)}
    rng = np.random.default_rng(3)
    for size in sizes:
        signal = (rng.standard_normal((size, engine.spec.chunk_samples)) * 2000).astype(np.int16)
        settle(engine, signal, np.arange(size, dtype=np.int32))
        for kind, seconds in device_times(engine, size, Timing(0.05, 0.2, 20)).items():
            row = summary(seconds, 1)
            row |= rates(size, row["mean_ms"] / 1e3, cost, ceilings)
            found[f"{kind}_{size}"] = row
            say(
                f"{size:5d} {kind:20s} {row['mean_ms']:7.3f} ms (p50 {row['p50_ms']:.3f} p99 {row['p99_ms']:.3f})"
                f" {row['chunks_per_s']:9.0f} chunks/s {row['sps']:8.0f} SPS {row['tflops']:6.1f} TFLOP/s"
                f" ({row['tflops_share']:.1%}) {row['least_gbs']:6.0f} GB/s ({row['gbs_share']:.1%})"
            )
    return found
