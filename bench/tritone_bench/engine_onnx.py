"""The CPU engine against the public graph, same architecture and weights: ``python -m tritone_bench.engine_onnx``.

Every round times every contender, in a new order each time, so that what else the machine does hits all of them alike.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_bench.engine_setup import say, speech, t_one_spec, t_one_weights
from tritone_bench.machine import busy_cores, machine, versions

Step = Callable[[NDArray[np.int32]], NDArray[np.float32]]
BATCHES = (1, 16)


@dataclass(frozen=True)
class Contender:
    """One graph and how it is run.

    Attributes:
        name: for people.
        path: the ONNX file.
        ours: by the onnxruntime engine, state pool included; else one session with its own threads, state kept beside.
    """

    name: str
    path: Path
    ours: bool


def make_graphs(folder: Path, parity: Path, cache: Path | None) -> list[Contender]:
    """Write what is missing of the three graphs: the public form, ours in float32, ours with 8-bit products."""
    from tritone_acoustic.checkpoint import build_network
    from tritone_acoustic.config import T_ONE
    from tritone_acoustic.export import network_graph
    from tritone_backend.models.calibrate import made_sound
    from tritone_backend.models.quantise import quantise_graph

    from tritone_bench.public_graph import write_public_graph

    folder.mkdir(parents=True, exist_ok=True)
    public, plain, eight = (folder / name for name in ("public.onnx", "float32.onnx", "int8.onnx"))
    if not all(path.is_file() for path in (public, plain, eight)):
        import onnx

        weights = t_one_weights(parity, cache)
        say("writing the graphs")
        write_public_graph(T_ONE, weights, public)
        onnx.save(network_graph(build_network(weights, T_ONE)), plain)
        quantise_graph(plain, eight, made_sound())
    return [
        Contender("public graph (float16)", public, ours=False),
        Contender("ours, float32", plain, ours=True),
        Contender("ours, int8 products", eight, ours=True),
    ]


def make_step(contender: Contender, batch: int, threads: int) -> Step:
    """Return a function that advances a batch by one chunk, starting anew with each function."""
    spec = dataclasses.replace(t_one_spec(), onnx=contender.path)
    if contender.ours:
        from tritone_backend.engines.onnxruntime import OnnxRuntimeEngine

        engine = OnnxRuntimeEngine(spec, threads=threads)
        engine.allocate(batch)
        slots, fresh = np.arange(batch, dtype=np.int32), np.ones(batch, bool)

        def step(signal: NDArray[np.int32]) -> NDArray[np.float32]:
            result = engine.step(signal, slots, fresh)
            fresh[:] = False
            return result

        return step

    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(contender.path), options, providers=["CPUExecutionProvider"])
    state = np.zeros((batch, spec.state_size), np.float16)

    def plain(signal: NDArray[np.int32]) -> NDArray[np.float32]:
        nonlocal state
        result: NDArray[np.float32]
        result, state = session.run(["logprobs", "state_next"], {"signal": signal[:, :, None], "state": state})
        return result

    return plain


def errors(contender: Contender, parity: Path, threads: int) -> dict[str, float]:
    """Run the fixture's 8 chunks of 2 streams against the float32 reference."""
    with np.load(parity / "t_one_reference.npz") as arrays:
        signal, expected = arrays["signal"].astype(np.int32), arrays["logprobs"]
    step = make_step(contender, signal.shape[1], threads)
    got = np.stack([step(chunk) for chunk in signal])
    error = np.abs(got - expected)
    same = got.argmax(3) == expected.argmax(3)
    return {"max": float(error.max()), "mean": float(error.mean()), "argmax_equal": float(same.mean())}


def race(contenders: list[Contender], batch: int, threads: int, rounds: int, seconds: float) -> list[dict[str, float]]:
    """Return, for every round, chunks/s and milliseconds of processor time a chunk of every contender."""
    signal = speech(batch, 1)[0].astype(np.int32)
    steps = {contender.name: make_step(contender, batch, threads) for contender in contenders}
    for step in steps.values():
        step(signal)
        step(signal)
    found = []
    for turn in range(rounds):
        entry: dict[str, float] = {}
        for name in np.random.default_rng(turn).permutation(sorted(steps)):
            count, begin, used = 0, time.perf_counter(), time.process_time()
            while time.perf_counter() - begin < seconds:
                steps[name](signal)
                count += batch
            entry[f"{name}: chunks/s"] = count / (time.perf_counter() - begin)
            entry[f"{name}: CPU ms/chunk"] = 1e3 * (time.process_time() - used) / count
        found.append(entry)
    return found


def summarise(rounds: list[dict[str, float]], name: str, base: str) -> dict[str, float]:
    """Return median and extremes of a contender, and of its ratio to the base in the same round."""
    rate = [entry[f"{name}: chunks/s"] for entry in rounds]
    ratio = [entry[f"{name}: chunks/s"] / entry[f"{base}: chunks/s"] for entry in rounds]
    return {
        "chunks_per_s": float(np.median(rate)),
        "least": min(rate),
        "most": max(rate),
        "cpu_ms": float(np.median([entry[f"{name}: CPU ms/chunk"] for entry in rounds])),
        "ratio": float(np.median(ratio)),
        "ratio_least": min(ratio),
        "ratio_most": max(ratio),
    }


def main() -> int:
    """Measure, print a table, write ``onnxruntime.json``."""
    parser = argparse.ArgumentParser(description="Race the onnxruntime engine against the public graph's equivalent.")
    add = parser.add_argument
    add("--out", type=Path, default=Path("results"), help="folder for onnxruntime.json")
    add("--graphs", type=Path, required=True, help="folder that keeps the graphs (500 MB)")
    add("--parity", type=Path, default=Path("tests/fixtures/parity"), help="folder of the fixture")
    add("--weights-cache", type=Path, help="file that keeps the filled weights")
    add("--threads", type=int, default=2, help="cores of every contender (default 2)")
    add("--rounds", type=int, default=7, help="rounds of each batch size (default 7)")
    add("--seconds", type=float, default=2.0, help="of one contender in one round (default 2 s)")
    args = parser.parse_args()
    contenders = make_graphs(args.graphs, args.parity, args.weights_cache)
    result: dict[str, Any] = {"machine": machine() | versions(), "threads": args.threads, "batches": {}}
    result["other_programs_cores"] = busy_cores()
    result["errors"] = {c.name: errors(c, args.parity, args.threads) for c in contenders}
    for name, error in result["errors"].items():
        say(f"{name}: max {error['max']:.1e}, mean {error['mean']:.1e}, arg-max equal {error['argmax_equal']:.2%}")
    base = contenders[0].name
    for batch in BATCHES:
        rounds = race(contenders, batch, args.threads, args.rounds, args.seconds)
        table = {c.name: summarise(rounds, c.name, base) for c in contenders}
        result["batches"][str(batch)] = {"rounds": rounds, "summary": table}
        for name, row in table.items():
            say(
                f"batch {batch:3d}  {name:24s} {row['chunks_per_s']:7.1f} chunks/s ({row['least']:.1f} to "
                f"{row['most']:.1f}), {row['cpu_ms']:6.2f} ms CPU a chunk, {row['ratio']:.2f} times the public graph "
                f"({row['ratio_least']:.2f} to {row['ratio_most']:.2f})"
            )
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "onnxruntime.json").write_text(json.dumps(result, indent=1, ensure_ascii=False), encoding="utf-8")
    say(f"other programs took {result['other_programs_cores']:.2f} cores before, {busy_cores():.2f} after")
    return 0


if __name__ == "__main__":
    sys.exit(main())
