"""`tritone bench roof`: any engine alone, step after step, without a server: more than a service on it cannot do.

Imports the service's code, because an engine has no network to be measured over.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tritone_bench.calls import PERIOD_S, default_audio, load_clips, make_calls
from tritone_bench.errors import UsageError
from tritone_bench.screen import Screen, out

if TYPE_CHECKING:
    from tritone_backend.engines import Engine

EXAMPLE = """example:
  tritone bench roof --batches 1,4,16,64
"""
DEFAULT_BATCHES = "1,2,4,8,16,32"
MIN_STEPS = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("--model", default="default", metavar="NAME|DIR", help="acoustic model (default: default)")
    add("--engine", default="auto", help="which engine (default: the fastest here)")
    add("--threads", type=int, default=0, metavar="N", help="threads of a CPU engine (default: its own choice)")
    add("--batches", default=DEFAULT_BATCHES, metavar="N,N,...", help=f"batch sizes (default {DEFAULT_BATCHES})")
    add("--seconds", type=float, default=3.0, metavar="S", help="how long to measure each (default 3 s)")
    add("--json", action="store_true", help="print JSON for programs")


@dataclass(frozen=True)
class Row:
    """One batch size.

    Attributes:
        batch: streams in a step.
        chunks_per_s: batch times steps per second.
        p50_ms, p99_ms: time of a step.
    """

    batch: int
    chunks_per_s: float
    p50_ms: float
    p99_ms: float


def run(args: argparse.Namespace) -> int:
    """Measure and print.

    Raises:
        UsageError: an option makes no sense.
        BackendError: the model or the engine cannot be had.
    """
    from tritone_backend.engines import create_engine
    from tritone_backend.models.registry import find_model

    try:
        batches = sorted({int(text) for text in args.batches.split(",")})
    except ValueError:
        batches = []
    if not batches or batches[0] < 1 or batches[-1] > 65_536 or not 0.1 <= args.seconds <= 600:
        raise UsageError("--batches takes numbers of 1 to 65536 with commas, --seconds 0.1 to 600")
    engine, reason = create_engine(args.engine, find_model(args.model), threads=args.threads)
    engine.allocate(batches[-1])
    chunks = _speech(engine.spec.chunk_samples)
    screen = Screen()
    if not args.json:
        out(f"engine {reason}, model {engine.spec.name}", "  batch    chunks/s   live streams   p50 ms   p99 ms a step")
    rows = []
    for batch in batches:
        screen.show(f"  batch {batch}")
        row = measure(engine, chunks, batch, args.seconds)
        rows.append(asdict(row))
        screen.clear()
        if not args.json:
            streams = row.chunks_per_s * PERIOD_S
            out(f"  {batch:5} {row.chunks_per_s:11.1f} {streams:14.0f} {row.p50_ms:8.2f} {row.p99_ms:8.2f}")
    if args.json:
        out(json.dumps(rows))
    return 0


def measure(engine: Engine, chunks: NDArray[np.int16], batch: int, seconds: float) -> Row:
    """Step one batch size for some time.

    Args:
        engine: with at least `batch` slots.
        chunks: int16 [N, chunk_samples], speech.
        batch: streams in a step.
        seconds: how long to measure, after a sixth as much for choosing kernels and filling caches.
    """
    slots = np.arange(batch, dtype=np.int32)
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < MIN_STEPS or time.perf_counter() - begun < seconds * 7 / 6:
        signal = chunks[(len(times) * batch + slots * 7) % len(chunks)]
        before = time.perf_counter()
        engine.step(signal, slots, np.full(batch, not times))
        times.append(time.perf_counter() - before)
    kept = np.array(times[max(1, len(times) // 7) :])
    return Row(batch, batch / float(kept.mean()), *(float(q) * 1e3 for q in np.percentile(kept, (50, 99))))


def _speech(chunk_samples: int) -> NDArray[np.int16]:
    calls = make_calls(load_clips(default_audio()), count=8, seconds=24.0, pauses=True)
    audio = np.frombuffer(b"".join(chunk for call in calls for chunk in call.chunks), "<i2")
    whole = len(audio) // chunk_samples * chunk_samples
    return audio[:whole].reshape(-1, chunk_samples).astype(np.int16)
