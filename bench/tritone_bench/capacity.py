"""`tritone bench capacity`: how many live streams this machine carries, and what limits them."""

from __future__ import annotations

import argparse

from tritone_bench import perf_analyzer, rates
from tritone_bench.errors import UsageError
from tritone_bench.limits import limiting_stage
from tritone_bench.screen import out, summary
from tritone_bench.search import FULL, QUICK, Outcome, find_capacity
from tritone_bench.session import Session, add_options, session
from tritone_bench.usage import total_cores

EXAMPLE = """example:
  tritone bench capacity --quick
  tritone bench capacity --request-rate-range 50:200:50

Starts the service when none runs at --server. Ends with one screen and a report.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = EXAMPLE
    add_options(parser)
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="streams to begin with (default: a low guess)"
    )
    parser.add_argument(
        "--request-rate-range",
        metavar="START:END:STEP",
        help="instead of searching, measure these request rates and print the published table",
    )
    parser.add_argument(
        "--perf-analyzer",
        action="store_true",
        help="instead of searching, run the published perf_analyzer command on streaming_acoustic",
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print, write the report.

    Raises:
        BenchError: there is no result, or none that may be believed.
    """
    if args.first < 0:
        raise UsageError(f"--first {args.first} is not a number of streams")
    if args.perf_analyzer:
        return perf_analyzer.run(args)
    if args.request_rate_range:
        return rates.run(args)
    with session(args, "capacity") as ready:
        search(ready)
    limit = limiting_stage(ready.run.levels, ready.run.confirmed, total_cores())
    out(summary(ready.run, limit), f"  report    {ready.folder / 'report.html'}")
    return 0 if ready.run.confirmed else 1


def search(ready: Session) -> None:
    """Find the capacity of the session's service and keep it in the session's record; raises as `find_capacity`."""
    found = Outcome(levels=ready.run.levels)
    # A stream alone takes reference_ms of every 300 ms; batches do better, so this is a low guess to double from.
    guess = ready.args.first or max(2, round(0.25 * 300.0 / max(ready.run.reference_ms, 0.1)))
    effort = QUICK if ready.args.quick else FULL
    try:
        find_capacity(ready.bench, effort, guess, ready.max_streams, ready.args.max_lag, ready.screen.level, found)
    finally:
        ready.run.confirmed, ready.report = found.confirmed, found.report
        ready.run.limit = limiting_stage(found.levels, found.confirmed, total_cores()).why
