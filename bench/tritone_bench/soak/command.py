"""`tritone bench soak`: arrivals and departures for an hour, and a verdict on what grew, was lost or stayed behind."""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path

from tritone_bench import capacity
from tritone_bench.calls import PERIOD_S, Call
from tritone_bench.errors import BenchError, UsageError
from tritone_bench.fleet import Interrupted, Load
from tritone_bench.screen import out
from tritone_bench.session import Session, add_options, session
from tritone_bench.soak import pages, verdict
from tritone_bench.soak.record import Plan, Soak, intervals
from tritone_bench.soak.samples import Sampler, left_behind
from tritone_bench.soak.visitors import VISIT_S, Visitors
from tritone_bench.task import Report

POINTS = 60
SAMPLES = 360
RAMP_S = 3.0
GAUGES = ("live", "free", "slots")
EXAMPLE = """example:
  tritone bench soak                                   # finds the capacity, then loads 80 % of it for an hour
  tritone bench soak --capacity 40 --seconds 1200 --warm-up 300

Exit status 1 when something grew, a chunk was lost, a word was wrong, or a slot stayed taken.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = EXAMPLE
    add_options(parser)
    parser.set_defaults(latency_threshold=300.0)
    add = parser.add_argument
    add("--capacity", type=int, default=0, metavar="N", help="live streams it carries (default: search, 5 minutes)")
    add("--share", type=float, default=0.8, metavar="F", help="offered load as a share of the capacity (default 0.8)")
    add("--seconds", type=float, default=3600.0, metavar="S", help="how long calls come (default an hour)")
    add("--warm-up", type=float, default=-1.0, metavar="S", help="of it, before anything is judged (default a sixth)")
    add("--call-seconds", type=float, default=20.0, metavar="S", help="mean of exponential call lengths (default 20)")
    add("--remark", default="", metavar="TEXT", help="a line for the report: what else the machine did")


def run(args: argparse.Namespace) -> int:
    """Find the capacity unless it is given, load the service, write the report.

    Raises:
        BenchError: an option makes no sense, the service is missing, or the run was broken off.
    """
    _check(args)
    if not args.capacity:
        args.capacity = _capacity(args)
    args.max_streams = args.max_streams or args.capacity
    held: list[Soak] = []
    with session(args, "soak", keep=lambda ready: _write(ready.folder, held[0])) as ready:
        held.append(_prepared(ready))
        _soak(ready, held[0])
    soak, folder = held[0], ready.folder
    if ready.service.started:  # and ended, by now
        soak.left_files = len(left_behind(soak.samples.shared_files))
        _write(folder, soak)
    checks = verdict.judge(soak)
    out(*pages.summary(soak, checks), f"  report    {folder / 'report.html'}")
    return 0 if verdict.passed(checks) else 1


def _check(args: argparse.Namespace) -> None:
    if args.warm_up < 0:
        args.warm_up = args.seconds / 6
    if args.capacity < 0 or not 0 < args.share <= 2:
        raise UsageError("--capacity must be 1 or more, and --share above 0 and at most 2")
    if not 10 <= args.seconds <= 30 * 86_400 or not 0 <= args.warm_up <= args.seconds / 2:
        raise UsageError("--seconds must be 10 to 2592000, and --warm-up at most half of it")
    if not 1 <= args.call_seconds <= 3600:
        raise UsageError("--call-seconds must be 1 to 3600")


def _capacity(args: argparse.Namespace) -> int:
    """Search it on a service of its own, with slots to spare and nobody at the door."""
    search = copy.copy(args)
    search.admission, search.first = args.admission or "slots", 0
    with session(search, "capacity") as ready:
        if not ready.service.started:
            raise UsageError("a service that runs already needs --capacity: its slots and its door limit a search")
        capacity.search(ready)
    if ready.run.confirmed is None:
        raise BenchError("the service carries no stream within --latency-threshold: there is nothing to soak")
    return ready.run.confirmed.streams


def mean_length_s(calls: list[Call], mean_s: float) -> float:
    """Mean length in seconds of calls that are broken off after an exponential time, or end by themselves before."""
    lengths = [mean_s * (1.0 - math.exp(-call.seconds / mean_s)) for call in calls]
    return max(PERIOD_S, sum(lengths) / len(lengths))


def _prepared(ready: Session) -> Soak:
    args, run = ready.args, ready.run
    plan = Plan(
        capacity=args.capacity,
        share=args.share,
        mean_call_s=mean_length_s(ready.calls, args.call_seconds),
        seconds=args.seconds,
        warm_s=args.warm_up,
        interval_s=max(1.0, args.seconds / POINTS),
        sample_s=max(0.5, args.seconds / SAMPLES),
    )
    return Soak(
        run.when, run.host, run.command, run.revision, run.machine, run.versions, {**run.service, **run.settings},
        plan, args.latency_threshold, args.max_lag, remark=args.remark,
    )  # fmt: skip


def _soak(ready: Session, soak: Soak) -> None:
    plan, service = soak.plan, ready.service
    ready.screen.say(
        f"{plan.arrivals_per_s:.2f} calls/s of {plan.mean_call_s:.1f} s for {plan.seconds:g} s: "
        f"{plan.erlang:.1f} live on average, {plan.share:.0%} of {plan.capacity}"
    )
    load = Load(
        streams=round(plan.erlang),  # what would be live by then, had calls always come
        warm_s=0.0,
        measure_s=plan.seconds,
        ramp_s=RAMP_S,
        arrivals_per_s=plan.arrivals_per_s,
        mean_call_s=ready.args.call_seconds,
    )
    with Sampler(service.root, service.metrics_url, plan.sample_s) as sampler:
        soak.samples = sampler.samples
        before = sampler.counters()
        with Visitors(service.host, service.port, min(VISIT_S, plan.seconds / 60)) as visitors:
            soak.guests = visitors.guests
            try:
                soak.level, report = ready.bench.measure(load, give_up=False)
            except Interrupted as interruption:
                soak.level = interruption.level
                _digest(soak, interruption.report)
                soak.error = "interrupted"
                if interruption.level is not None:  # there is something to keep
                    ready.run.levels.append(interruption.level)
                raise
        ready.run.levels.append(soak.level)
        _digest(soak, report)
        soak.emptied_s = _wait_until_empty(sampler, verdict.empty_again_s(soak.service))
        now = sampler.counters()
        soak.after = {name: now[name] - (0.0 if name in GAUGES else before.get(name, 0.0)) for name in now}
    ready.screen.level("soak", soak.level)


def _digest(soak: Soak, report: Report | None) -> None:
    if report is not None:
        soak.intervals = intervals(report, soak.plan.interval_s)
        soak.calls = report.begun


def _wait_until_empty(sampler: Sampler, limit_s: float) -> float | None:
    """Seconds until no slot is taken any more, None when some still are at the limit."""
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < limit_s:
        if sampler.counters().get("live") == 0.0:
            return waited
        time.sleep(0.5)
    return None


def _write(folder: Path, soak: Soak) -> None:
    checks = verdict.judge(soak)
    try:
        soak.save(folder, verdict.plain(checks))
        pages.write(folder, soak, checks)
    except OSError as error:
        raise BenchError(
            f"the results could not be written to {folder} ({error.strerror}): they are not whole"
        ) from None
