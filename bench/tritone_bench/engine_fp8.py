"""What the FP8 option costs in accuracy and brings in speed, against the float16 engine in the same process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tritone_bench.engine_checks import parity
from tritone_bench.engine_setup import make_engine, say, speech
from tritone_bench.engine_timing import in_flight, settle
from tritone_bench.engine_trained import trained

SIZES = (64, 256, 1024)
TURNS = 3


def fp8(weights: dict[str, Any], fixture: Path, model: Path, audio: Path) -> dict[str, Any]:
    """Measure error on the fixture and on trained weights, then both engines by turns."""
    found: dict[str, Any] = {
        "parity": parity(weights, fixture, fp8=True),
        "trained": trained(model, audio, fp8=True),
        "chunks_per_s": {},
    }
    engines = {name: make_engine(weights, 2048, SIZES, fp8=name == "fp8") for name in ("fp16", "fp8")}
    signal = speech(SIZES[-1], 1)[0]
    for size in SIZES:
        rows, old = np.random.default_rng(0).permutation(2048)[:size].astype(np.int32), np.zeros(size, bool)
        rates: dict[str, list[float]] = {name: [] for name in engines}
        for engine in engines.values():
            settle(engine, signal[:size], rows)
        for _ in range(TURNS):
            for name, engine in engines.items():
                rates[name].append(in_flight(engine.runner, signal[:size], rows, old, 0.2))
        found["chunks_per_s"][str(size)] = rates
        middle = {name: float(np.median(values)) for name, values in rates.items()}
        say(
            f"batch {size}: fp16 {middle['fp16']:.0f} chunks/s, fp8 {middle['fp8']:.0f} "
            f"({middle['fp8'] / middle['fp16'] - 1:+.1%}; medians of {TURNS} turns)"
        )
    return found
