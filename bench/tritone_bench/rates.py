"""The table of request rates in the form that perf_analyzer prints and T-one's documentation publishes."""

from __future__ import annotations

import argparse

from tritone_bench.calls import PERIOD_S
from tritone_bench.errors import LateGeneratorError, ServiceError, UsageError, WrongWordsError
from tritone_bench.fleet import Load
from tritone_bench.level import Level
from tritone_bench.screen import out
from tritone_bench.search import FULL, QUICK, late_message
from tritone_bench.session import Session, session

MAX_RATES = 200


def parse_range(text: str) -> list[float]:
    """The rates of ``START:END:STEP`` in requests per second; step may be left out and is then the start.

    Raises:
        UsageError: it is no such range.
    """
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if len(parts) == 2:
        parts.append(parts[0])
    if len(parts) != 3 or not all(0 < part < 1e7 for part in parts) or parts[1] < parts[0]:
        raise UsageError(f"--request-rate-range {text!r} is not START:END:STEP in requests per second, all above 0")
    start, end, step = parts
    count = int((end - start) / step + 1e-9) + 1
    if count > MAX_RATES:
        raise UsageError(f"--request-rate-range {text!r} has {count} steps; at most {MAX_RATES}")
    return [start + step * number for number in range(count)]


def row(rate: float, level: Level) -> str:
    """One line of the table, in microseconds as published, with the percentile that the published one lacks."""
    return (
        f"Request Rate: {rate:g}, throughput: {level.chunks_per_s:.3f} infer/sec, "
        f"latency {level.mean_ms * 1e3:.0f} usec, p99 {level.p99_ms * 1e3:.0f} usec, streams {level.streams}"
    )


def run(args: argparse.Namespace) -> int:
    """Measure every rate and print the table.

    Raises:
        BenchError: there is no result, or none that may be believed.
    """
    wanted = parse_range(args.request_rate_range)
    with session(args, "rates") as ready:
        rows = _measure(ready, wanted)
    out("Inferences/Second vs. Client Average Batch Latency", *rows, f"report: {ready.folder / 'report.html'}")
    return 0


def _measure(ready: Session, wanted: list[float]) -> list[str]:
    rows = []
    effort = QUICK if ready.args.quick else FULL
    for rate in wanted:
        streams = max(1, round(rate * PERIOD_S))
        level, report = ready.bench.measure(
            Load(streams, effort.warm_s, effort.measure_s, effort.ramp_s), give_up=False
        )
        ready.run.levels.append(level)
        ready.screen.level("rate", level)
        if level.wrong:
            raise WrongWordsError(f"{level.failed} at {rate:g} requests/s, so their speed counts as nothing")
        if level.fatal:
            raise ServiceError(f"at {rate:g} requests/s: {level.fatal}")
        if not level.failed:
            if level.lag_p99_ms > ready.args.max_lag:
                raise LateGeneratorError(late_message(level, ready.args.max_lag))
            ready.run.confirmed, ready.report = level, report
        rows.append(row(rate, level))
    return rows
