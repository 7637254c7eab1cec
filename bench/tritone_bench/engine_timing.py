"""Speed of the torch engine and of a naive module on one GPU: rates, latencies, profile. Transfers are included."""

from __future__ import annotations

import re
import time
from typing import Any

import numpy as np
import torch

from tritone_bench.engine_setup import FLOP_PER_CHUNK, STATE_BYTES_PER_CHUNK, WEIGHT_BYTES, make_engine, say, speech

LADDER = (1, 8, 16, 32, 64, 128, 256, 512, 1024)
HISTORY_CHUNKS = 6
"""Chunks until every ring is full: 30 convolution frames at five a chunk."""


def ladder(engine: Any, slots: int, seconds: float = 0.6) -> dict[str, Any]:
    """Measure every batch size: device time of back-to-back replays, wall time of single steps, two in flight."""
    signal = speech(LADDER[-1], 1)[0]
    order = np.random.default_rng(0).permutation(slots).astype(np.int32)
    results = {}
    say("batch  device us (p50 p99)   chunks/s  TFLOP/s  GB/s*   step() us (p50 p99)   two in flight chunks/s")
    for size in LADDER:
        batch, rows, old = signal[:size], order[:size], np.zeros(size, bool)
        settle(engine, batch, rows)
        runner = engine.runner
        device = _replay_times(runner, size, seconds / 3)
        wall = []
        end = time.perf_counter() + seconds / 3
        while time.perf_counter() < end:
            begin = time.perf_counter()
            engine.step(batch, rows, old)
            wall.append(time.perf_counter() - begin)
        flight = in_flight(runner, batch, rows, old, seconds / 3)
        per_batch = device["mean_us"] * 1e-6
        entry = {
            **device,
            "chunks_per_s": size / per_batch,
            "tflops": size * FLOP_PER_CHUNK / per_batch / 1e12,
            "least_gbs": (size * STATE_BYTES_PER_CHUNK + WEIGHT_BYTES) / per_batch / 1e9,
            "step_p50_us": 1e6 * float(np.percentile(wall, 50)),
            "step_p99_us": 1e6 * float(np.percentile(wall, 99)),
            "twoin_flight_chunks_per_s": flight,
        }
        results[str(size)] = entry
        say(
            f"{size:5d}  {entry['mean_us']:8.0f} ({entry['p50_us']:.0f} {entry['p99_us']:.0f})"
            f"  {entry['chunks_per_s']:9.0f}  {entry['tflops']:6.0f}  {entry['least_gbs']:6.0f}"
            f"  {entry['step_p50_us']:8.0f} ({entry['step_p99_us']:.0f})  {flight:9.0f}"
        )
    say("* least bytes: weights once and the state read and written once; activations not counted")
    return results


def settle(engine: Any, batch: Any, rows: Any) -> None:
    """Start streams and step until their history is full and both staging areas hold them as running streams.

    A new stream reads no history: replays of a staging area that still says "new" would be timed too fast.
    """
    engine.step(batch, rows, np.ones(len(rows), bool))
    for _ in range(HISTORY_CHUNKS + 2):
        engine.step(batch, rows, np.zeros(len(rows), bool))


def naive(weights: dict[str, Any], sizes: tuple[int, ...] = (1, 64, 256, 1024)) -> dict[str, Any]:
    """Measure the plain float16 module over a pool of fused states, gather and scatter in its CUDA graph."""
    from tritone_acoustic.network import AcousticModel

    model = AcousticModel()
    model.load_state_dict(weights)
    model = model.half().cuda().eval()
    model.features.float()
    results = {}
    with torch.inference_mode():
        pool = torch.zeros(2048, 219_729, dtype=torch.float16, device="cuda")
        for size in sizes:
            host = torch.from_numpy(speech(size, 1)[0]).pin_memory()
            answer = torch.zeros(size, 10, 35).pin_memory()
            device_signal = host.cuda()
            slots = torch.randperm(2048, device="cuda")[:size]

            def step(signal: Any = device_signal, slots: Any = slots, host: Any = host, answer: Any = answer) -> None:
                signal.copy_(host, non_blocking=True)
                logprobs, following = model.step(signal, pool[slots])
                pool[slots] = following
                answer.copy_(logprobs, non_blocking=True)

            stream = torch.cuda.Stream()
            with torch.cuda.stream(stream):
                step()
                step()
            stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=stream):
                step()
            for _ in range(3):
                graph.replay()
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            turns = 20
            begin.record()
            for _ in range(turns):
                graph.replay()
            end.record()
            end.synchronize()
            rate = size * turns / (begin.elapsed_time(end) / 1e3)
            results[str(size)] = {"chunks_per_s": rate, "batch_us": 1e6 * size / rate}
            say(f"naive module, CUDA graph, batch {size}: {rate:.0f} chunks/s, {1e6 * size / rate:.0f} us")
            del graph
    return results


def profile(engine: Any, size: int, top: int = 15) -> list[dict[str, Any]]:
    """Return the kernels that take most of a step, from five profiled replays."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    runner, turns = engine.runner, 5
    runner.launch(size, 0)
    torch.cuda.synchronize()
    with record(activities=[ProfilerActivity.CUDA]) as recorded:
        for turn in range(turns):
            runner.launch(size, turn % 2)
        torch.cuda.synchronize()
    rows = []
    for event in recorded.key_averages():
        spent = getattr(event, "self_device_time_total", 0) or getattr(event, "self_cuda_time_total", 0)
        if spent > 0:
            rows.append({"kernel": event.key, "us": spent / turns, "calls": event.count / turns})
    rows.sort(key=lambda row: -row["us"])
    total = sum(row["us"] for row in rows)
    say(f"kernels of a batch of {size}: {total:.0f} us in {sum(row['calls'] for row in rows):.0f} launches")
    for row in rows[:top]:
        name = re.sub(r"\(.*", "", row["kernel"])[:90]
        say(f"  {row['us']:8.1f} us {100 * row['us'] / total:5.1f} %  {row['calls']:4.0f} x  {name}")
    return rows


def many_slots(weights: dict[str, Any]) -> dict[str, Any]:
    """Allocate 20 000 slots, step in the last one, then ask for more than the card holds."""
    from tritone_backend.errors import EngineError

    before = torch.cuda.memory_allocated()  # another section's engine may still hold its slots
    engine = make_engine(weights, 20_000, (1, 8))
    held = (torch.cuda.memory_allocated() - before) / 2**30
    got = engine.step(speech(1, 1)[0], np.array([19_999], np.int32), np.ones(1, bool))
    finite = bool(np.isfinite(got).all())
    say(f"20 000 slots: {held:.1f} GiB held, last slot finite: {finite}")
    message = ""
    try:
        engine.allocate(10_000_000)
    except EngineError as error:
        message = error.user_message
    say(f"refusal: {message}")
    return {"gib": held, "finite": finite, "refusal": message}


def _replay_times(runner: Any, size: int, seconds: float) -> dict[str, float]:
    """Time back-to-back replays, both staging areas in turn, with events between them."""
    stream = runner._stream
    marks = [torch.cuda.Event(enable_timing=True)]
    marks[0].record(stream)
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds and len(marks) < 2000:
        for _ in range(10):
            runner.launch(size, len(marks) % 2)
            mark = torch.cuda.Event(enable_timing=True)
            mark.record(stream)
            marks.append(mark)
        marks[-1].synchronize()
        # The wait lets the queue run dry: the next group starts with a mark of its own.
        fresh = torch.cuda.Event(enable_timing=True)
        fresh.record(stream)
        marks.append(fresh)
    torch.cuda.synchronize()
    times = []
    for group in range(0, len(marks) - 10, 11):
        times += [1e3 * marks[group + i].elapsed_time(marks[group + i + 1]) for i in range(10)]
    steady = [t for i, t in enumerate(times) if i % 10]  # the first of a group also pays for the launch
    return {
        "mean_us": float(np.mean(steady)),
        "p50_us": float(np.percentile(steady, 50)),
        "p99_us": float(np.percentile(steady, 99)),
    }


def in_flight(runner: Any, signal: Any, slots: Any, fresh: Any, seconds: float) -> float:
    """Return chunks/s with the host filling one staging area while the device works on the other."""
    waiting = runner.submit(signal, slots, fresh)
    done, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        following = runner.submit(signal, slots, fresh)
        runner.collect(waiting)
        waiting = following
        done += len(slots)
    rate = done / (time.perf_counter() - begin)
    runner.collect(waiting)
    return rate
