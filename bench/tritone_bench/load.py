"""`tritone bench load`: hold a given load and report it."""

from __future__ import annotations

import argparse

from tritone_bench.errors import BenchError, LateGeneratorError, ServiceError, UsageError, WrongWordsError
from tritone_bench.fleet import Interrupted, Load
from tritone_bench.screen import details, out
from tritone_bench.search import late_message
from tritone_bench.session import Session, add_options, session

EXAMPLE = """example:
  tritone bench load --streams 50 --seconds 60
  tritone bench load --arrivals 1.5 --call-seconds 20 --seconds 300

Exit status 1 when a chunk was lost, a word was wrong, or p99 passed --latency-threshold.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = EXAMPLE
    add_options(parser)
    add = parser.add_argument
    add("--streams", type=int, default=0, metavar="N", help="live streams to hold")
    add("--seconds", type=float, default=30.0, metavar="S", help="how long to measure (default 30 s)")
    add("--ramp", type=float, default=3.0, metavar="S", help="streams begin within this time (default 3 s)")
    add("--arrivals", type=float, default=0.0, metavar="PER_S", help="new calls per second, a Poisson process")
    add(
        "--call-seconds", type=float, default=0.0, metavar="S", help="mean of exponential call lengths, with --arrivals"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print, write the report.

    Raises:
        BenchError: the load was too much, or the result may not be believed.
    """
    if args.streams < 0 or (not args.streams and not args.arrivals):
        raise UsageError("say how many streams: --streams N, or --arrivals PER_S")
    if not args.seconds >= 1 or not args.ramp >= 0 or not args.arrivals >= 0 or not args.call_seconds >= 0:
        raise UsageError("--seconds must be 1 or more, --ramp, --arrivals and --call-seconds not negative")
    with session(args, "load") as ready:
        _hold(ready)
    assert ready.run.confirmed is not None
    out(
        f"{_title(args)}: p99 within {args.latency_threshold:g} ms, no chunk lost, no wrong word",
        *details(ready.run.confirmed, ready.run),
        f"  report    {ready.folder / 'report.html'}",
    )
    return 0


def _title(args: argparse.Namespace) -> str:
    streams = f"{args.streams} streams" if args.streams else ""
    return " and ".join(filter(None, [streams, f"{args.arrivals:g} calls/s" if args.arrivals else ""]))


def _hold(ready: Session) -> None:
    args = ready.args
    load = Load(
        streams=args.streams,
        warm_s=args.ramp + 1.0,
        measure_s=args.seconds,
        ramp_s=args.ramp,
        arrivals_per_s=args.arrivals,
        mean_call_s=args.call_seconds if args.arrivals else 0.0,
    )
    try:
        level, ready.report = ready.bench.measure(load, give_up=False)
    except Interrupted as interruption:
        if interruption.level is not None:
            ready.report = interruption.report
            ready.run.levels.append(interruption.level)
        raise
    ready.run.levels.append(level)
    ready.screen.level("load", level)
    if level.wrong:
        raise WrongWordsError(f"{level.failed}, so their speed counts as nothing")
    if level.fatal:
        raise ServiceError(level.fatal)
    if level.lag_p99_ms > args.max_lag:
        raise LateGeneratorError(late_message(level, args.max_lag))
    if level.failed:
        raise BenchError(f"too much for this service: {level.failed}")
    ready.run.confirmed = level
