"""Measures the torch engine on one GPU: correctness first, then speed. Sections run one by one and fail alone.

The measurements are in engine_checks.py, engine_timing.py and engine_sweep.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tritone_bench import (
    engine_checks,
    engine_device,
    engine_fp8,
    engine_timing,
    engine_trained,
    engine_vector,
    engine_verdict,
)
from tritone_bench.engine_setup import make_engine, say, t_one_weights

SECTIONS = (
    "parity",
    "kernels",
    "independence",
    "trained",
    "fp8",
    "vector",
    "ladder",
    "ceilings",
    "profile",
    "naive",
    "slots",
    "sweep",
)
SLOTS = 4096


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--sections", default="parity,independence,ladder", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the JSON of each section")
    parser.add_argument("--parity", type=Path, default=Path("tests/fixtures/parity"), help="folder of the fixture")
    parser.add_argument("--model", type=Path, default=Path("models/default"), help="folder of a trained model")
    parser.add_argument("--audio", type=Path, default=Path("tests/audio"), help="folder of 8 kHz WAV files")
    parser.add_argument("--weights-cache", type=Path, help="file that keeps the filled weights between runs")
    parser.add_argument("--seconds", type=float, default=60.0, help="give up on later parts after so long")
    parser.add_argument("--batch", type=int, default=1024, help="batch size of profile and sweep")
    parser.add_argument("--device", default="cuda", help="cpu runs the sections parity and trained only")


def run(args: argparse.Namespace) -> int:
    """Run the sections; the exit status is 1 if one of them failed, was skipped or found what must not be."""
    begin = time.perf_counter()
    args.out.mkdir(parents=True, exist_ok=True)
    weights = t_one_weights(args.parity, args.weights_cache)
    if args.device != "cpu":
        say(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    engine: list[Any] = []

    def shared() -> Any:
        if not engine:
            engine.append(make_engine(weights, SLOTS, engine_timing.LADDER))
        return engine[0]

    def sweep() -> Any:
        from tritone_bench.engine_sweep import sweep as measure

        return measure(weights, args.batch, begin + args.seconds)

    def profiles() -> Any:
        return {str(size): engine_timing.profile(shared(), size) for size in dict.fromkeys((args.batch, 64, 1))}

    device: str = args.device
    table: dict[str, Callable[[], Any]] = {
        "parity": lambda: engine_checks.parity(weights, args.parity, device=device),
        "kernels": lambda: engine_checks.kernels(weights),
        "independence": lambda: engine_checks.independence(weights),
        "trained": lambda: engine_trained.trained(args.model, args.audio, device=device),
        "fp8": lambda: engine_fp8.fp8(weights, args.parity, args.model, args.audio),
        "vector": lambda: engine_vector.vector(weights, args.parity),
        "ceilings": lambda: engine_device.ladder_against_ceilings(shared(), engine_timing.LADDER),
        "ladder": lambda: engine_timing.ladder(shared(), SLOTS),
        "profile": profiles,
        "naive": lambda: engine_timing.naive(weights),
        "slots": lambda: engine_timing.many_slots(weights),
        "sweep": sweep,
    }
    failed = False
    for name in args.sections.split(","):
        if time.perf_counter() - begin > args.seconds:
            failed = True
            say(f"FAILED {name}: skipped, time is up")
            continue
        say(f"-- {name}")
        started = time.perf_counter()
        try:
            result = table[name]()
            for complaint in engine_verdict.complaints(name, result):
                failed = True
                say(f"FAILED {name}: {complaint}")
        except Exception:
            failed = True
            result = {"failed": traceback.format_exc()[-3000:]}
            say(result["failed"])
        text = json.dumps(result, indent=1, ensure_ascii=False)
        (args.out / f"engine-{name}-{args.batch}.json").write_text(text, encoding="utf-8")
        say(f"-- {name}: {time.perf_counter() - started:.1f} s")
    return int(failed)


def main() -> int:
    """Run as ``python -m tritone_bench.engine``."""
    parser = argparse.ArgumentParser(description="Measure the torch engine on this machine's GPU.")
    configure(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
