"""What profiling costs: the whole loop with the real engine, profiled and not, by turns within one run.

    python -m tests.backend.profiling_cost [--model NAME|DIR] [--rounds 40] [--streams 32] [--chunks 8]

Noise of a shared machine is larger than the cost, so pairs are compared and the median difference is given with its
spread; the cost of the calls alone follows, which is what the difference should come to.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
from pathlib import Path
from time import perf_counter

import numpy as np
from tritone_backend.admission import Limits
from tritone_backend.decoding import FrameDecisions
from tritone_backend.engines import create_engine
from tritone_backend.loop import StreamLoop
from tritone_backend.models.registry import find_model
from tritone_backend.options import StreamOptions
from tritone_backend.profiling.journal import Journal
from tritone_backend.profiling.profile import DumpTo, Profile
from tritone_backend.profiling.stagetimes import new_stage_times
from tritone_backend.streams import Request
from tritone_backend.transcriber import Transcriber


def service(engine, spec, streams, profile):
    def digest(sessions, logprobs):
        decisions = FrameDecisions.of(logprobs, spec)
        begin = perf_counter()
        closed = [session.endpoint(decisions, row) for row, session in enumerate(sessions)]
        endpointing = (perf_counter() - begin) * 1e6
        for row, (session, spans) in enumerate(zip(sessions, closed, strict=True)):
            session.decode(decisions, row, spans)
        return endpointing

    limits = Limits(streams, streams, 60.0)
    loop = StreamLoop(
        engine,
        lambda parameters, stream_id: Transcriber(spec, StreamOptions()),
        digest,
        limits,
        profile,
        Journal(lambda line: None),
    )
    loop.start()
    return loop


def run(loop, streams, chunks, audio, first_id):
    """Seconds for every stream to send its chunks, each after the answer to the one before."""
    left, done = [streams], threading.Event()

    def next_request(stream, turn):
        def reply(result, stages):
            if turn == chunks - 1:
                left[0] -= 1
                if not left[0]:
                    done.set()
            else:
                next_request(stream, turn + 1)

        loop.submit([Request(stream, turn == 0, turn == chunks - 1, audio, {}, reply, perf_counter())])

    begin = perf_counter()
    for stream in range(first_id, first_id + streams):
        next_request(stream, 0)
    assert done.wait(120)
    return perf_counter() - begin


def calls_alone(batch, repeats=200):
    """Microseconds a chunk that the profile's own methods take."""
    profile, stages = Profile(256, 0.3), new_stage_times(5.0)
    stages[1:] = [300.0] * 9
    begin = perf_counter()
    for _ in range(repeats):
        for stream in range(batch):
            profile.chunk(stream, 1.0, 1.02, stages)
        profile.batch(1.0, 1.02, batch, 0, batch)
    profile.flush()
    return (perf_counter() - begin) / (repeats * batch) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--chunks", type=int, default=8)
    args = parser.parse_args()
    model = find_model(args.model)
    audio = np.random.default_rng(0).integers(-3000, 3000, 2400).astype("<i2").tobytes()
    loops = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("off", "on"):
            engine, _ = create_engine("onnxruntime", model, threads=1)
            to = DumpTo(Path(folder), "cost", lambda line: None)
            profile = Profile(args.streams, engine.spec.chunk_seconds, to) if name == "on" else None
            loops[name] = service(engine, engine.spec, args.streams, profile)
        times = {"off": [], "on": []}
        for turn in range(args.rounds + 2):
            for name in ("off", "on") if turn % 2 else ("on", "off"):
                taken = run(loops[name], args.streams, args.chunks, audio, 1 + turn * args.streams)
                if turn >= 2:
                    times[name].append(taken)
        for loop in loops.values():
            loop.stop()
    per_chunk = 1e6 / (args.streams * (args.chunks + 2))  # the first and the last request bring one chunk more
    off = statistics.median(times["off"]) * per_chunk
    share = sorted(on / base - 1 for on, base in zip(times["on"], times["off"], strict=True))
    quarter = len(share) // 4
    print(f"{args.streams} streams, {args.rounds} pairs: a chunk takes {off:.1f} us without profiling")
    print(
        f"with it {statistics.median(share):+.2%} (half of the pairs between {share[quarter]:+.2%} "
        f"and {share[-1 - quarter]:+.2%})"
    )
    for batch in (1, 8, 32, 256):
        alone = calls_alone(batch)
        print(f"the calls alone at {batch:3d} streams a batch: {alone:.2f} us a chunk, {alone / off:.3%} of one here")


if __name__ == "__main__":
    main()
