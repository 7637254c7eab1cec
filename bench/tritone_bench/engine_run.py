"""`tritone bench engine`: times any engine alone at a ladder of batch sizes, as trtexec does for a plan.

Costs and ceilings are in engine_cost.py, device times in engine_device.py; correctness is `tritone bench kernels`.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tritone_bench.engine_cost import Ceilings, Cost, chunk_cost, cpu_ceilings, gpu_ceilings
from tritone_bench.engine_picture import stand_alone
from tritone_bench.engine_rates import Timing, rates, summary
from tritone_bench.errors import UsageError
from tritone_bench.machine import machine, versions
from tritone_bench.report.scales import logarithmic
from tritone_bench.report.svg import Series, lines
from tritone_bench.screen import Screen, out

EXAMPLE = """example:
  tritone bench engine --model default --batches 1,8,64 --duration 3
  tritone bench engine --engine torch --batches 1,64,1024 --avg-runs 10 --out results
"""
DEFAULT_BATCHES = {"cpu": "1,2,4,8,16,32", "gpu": "1,8,64,256,1024"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("--model", default="default", metavar="NAME|DIR", help="acoustic model (default: default)")
    add("--engine", default="auto", help="which engine (default: the fastest here)")
    add("--threads", type=int, default=0, metavar="N", help="threads of a CPU engine (default: its own choice)")
    add("--batches", metavar="N,N,...", help="batch sizes (default: 1 to 32 on a CPU, 1 to 1024 on a GPU)")
    add("--warm-up", type=float, default=0.5, metavar="S", help="before anything counts (default 0.5 s)")
    add("--duration", type=float, default=3.0, metavar="S", help="measure each batch size so long (default 3 s)")
    add("--iterations", type=int, default=10, metavar="N", help="and at least so many steps (default 10)")
    add("--avg-runs", type=int, default=1, metavar="N", help="average so many steps into one latency (default 1)")
    add("--slots", type=int, metavar="N", help="streams with state (default: the largest batch)")
    add("--json", action="store_true", help="print JSON for programs")
    add("--out", type=Path, metavar="DIR", help="write engine.json, rate.svg and latency.svg there")


def run(args: argparse.Namespace) -> int:
    """Measure, print and store.

    Raises:
        UsageError: an option makes no sense.
        BackendError: the model or the engine cannot be had.
    """
    timing = Timing(args.warm_up, args.duration, args.iterations, args.avg_runs)
    if not (0 <= timing.warm_up <= 600 and 0 < timing.duration <= 3600 and timing.iterations > 0 < timing.avg_runs):
        raise UsageError("--warm-up takes 0 to 600 s, --duration up to 3600 s, --iterations and --avg-runs 1 or more")
    from tritone_backend.engines import create_engine
    from tritone_backend.models.description import read_table
    from tritone_backend.models.registry import find_model

    folder = find_model(args.model)
    engine, reason = create_engine(args.engine, folder, threads=args.threads)
    gpu = is_on_gpu(engine)
    batches = read_batches(args.batches or DEFAULT_BATCHES["gpu" if gpu else "cpu"])
    slots = args.slots or batches[-1]
    if slots < batches[-1]:
        raise UsageError(f"--slots {slots} is less than the largest batch, {batches[-1]}")
    table = read_table(folder).get("architecture")
    cost = chunk_cost(table) if table else None
    ceilings = gpu_ceilings() if gpu else cpu_ceilings()
    engine.allocate(slots)
    if not args.json:
        out(f"engine {reason}, model {engine.spec.name}; ceilings: {ceilings.tflops:.3g} TFLOP/s, "
            f"{ceilings.gbs:.3g} GB/s ({ceilings.kind})")  # fmt: skip
        out("  batch   chunks/s        SPS   p50 ms   p90 ms   p99 ms   TFLOP/s (of ceiling)   GB/s (of ceiling)")
    rows, screen = [], Screen()
    for batch in batches:
        screen.show(f"  batch {batch}")
        row = measure(engine, batch, slots, timing, cost, ceilings)
        screen.clear()
        rows.append(row)
        if not args.json:
            for line in describe_row(row):
                out(line)
    result = {
        "engine": reason,
        "model": engine.spec.name,
        "slots": slots,
        "timing": asdict(timing),
        "cost_per_chunk": asdict(cost) if cost else None,
        "ceilings": asdict(ceilings),
        "machine": machine() | versions(),
        "rows": rows,
    }
    if args.json:
        out(json.dumps(result, ensure_ascii=False))
    if args.out:
        store(args.out, result)
    return 0


def read_batches(text: str) -> list[int]:
    """Return rising batch sizes.

    Raises:
        UsageError: the text holds something else.
    """
    try:
        batches = sorted({int(word) for word in text.split(",")})
    except ValueError:
        batches = []
    if not batches or batches[0] < 1 or batches[-1] > 65_536:
        raise UsageError("--batches takes numbers of 1 to 65536 with commas")
    return batches


def is_on_gpu(engine: Any) -> bool:
    """Return whether an engine computes on a GPU."""
    device = getattr(engine, "_device", None)
    return device is not None and device.type == "cuda"


def measure(
    engine: Any, batch: int, slots: int, timing: Timing, cost: Cost | None, ceilings: Ceilings
) -> dict[str, Any]:
    """Step one batch size for some time.

    Returns:
        Latencies in ms of a step as its caller sees it and, on a GPU, of the device with and without transfers; rates.
    """
    rng = np.random.default_rng(batch)
    signal = (rng.standard_normal((batch, engine.spec.chunk_samples)) * 2000).clip(-32768, 32767).astype(np.int16)
    rows = rng.permutation(slots)[:batch].astype(np.int32)
    old = np.zeros(batch, bool)
    times: list[float] = []
    engine.step(signal, rows, np.ones(batch, bool))
    end = time.perf_counter() + timing.warm_up
    while time.perf_counter() < end:
        engine.step(signal, rows, old)
    begin = time.perf_counter()
    while len(times) < max(timing.iterations, timing.avg_runs) or time.perf_counter() - begin < timing.duration:
        before = time.perf_counter()
        engine.step(signal, rows, old)
        times.append(time.perf_counter() - before)
    entry: dict[str, Any] = {"batch": batch, "step": summary(times, timing.avg_runs)}
    kinds = ["step"]
    if is_on_gpu(engine):
        from tritone_bench.engine_device import device_times

        for kind, seconds in device_times(engine, batch, timing).items():
            entry[kind] = summary(seconds, timing.avg_runs)
            kinds.append(kind)
    for kind in kinds:
        entry[kind] |= rates(batch, entry[kind]["mean_ms"] / 1e3, cost, ceilings)
    return entry


def describe_row(row: dict[str, Any]) -> list[str]:
    """Return the lines of one batch size."""
    found = []
    for kind in ("step", "device", "device_no_transfers"):
        if kind not in row:
            continue
        part = row[kind]
        line = f"  {row['batch']:5} {part['chunks_per_s']:10.1f} {part['sps']:10.1f}"
        line += f" {part['p50_ms']:8.3f} {part['p90_ms']:8.3f} {part['p99_ms']:8.3f}"
        if "tflops" in part:
            line += f" {part['tflops']:9.3g} ({part['tflops_share']:6.1%})"
            line += f" {part['least_gbs']:12.3g} ({part['gbs_share']:6.1%})"
        found.append(line + {"step": "", "device": "  device", "device_no_transfers": "  device, no transfers"}[kind])
    return found


def store(folder: Path, result: dict[str, Any]) -> None:
    """Write the result and its pictures.

    Raises:
        UsageError: the folder cannot be written.
    """
    rows = result["rows"]
    kinds = [kind for kind in ("step", "device_no_transfers") if kind in rows[0]]
    pictures = {
        "rate.svg": ("chunks/s", [(kind, "chunks_per_s") for kind in kinds]),
        "latency.svg": ("ms", [("step", "p50_ms"), ("step", "p99_ms")]),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "engine.json").write_text(json.dumps(result, indent=1, ensure_ascii=False), encoding="utf-8")
        for name, (unit, wanted) in pictures.items():
            series = [
                Series(f"{kind} {field}".replace("_", " "), [(float(r["batch"]), r[kind][field]) for r in rows], style)
                for (kind, field), style in zip(wanted, ("s3", "alt"), strict=False)
            ]
            x = logarithmic([float(row["batch"]) for row in rows])
            y = logarithmic([value for line in series for _, value in line.points])
            (folder / name).write_text(stand_alone(lines(series, x, y, "batch size", unit)), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from None
    out(f"wrote {folder}/engine.json, rate.svg and latency.svg")
