"""`tritone bench plan`: hosts, memory, network and cost for many streams, from a measured run."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

from tritone_bench.calls import CHUNK_BYTES, PERIOD_S
from tritone_bench.erlang import blocking, simulate
from tritone_bench.errors import UsageError
from tritone_bench.run import Run
from tritone_bench.screen import out

EXAMPLE = """example:
  tritone bench plan --streams 100000 --from bench/results/RUN --price-per-hour 2.5
"""
# Bytes on the wire beside the audio, counted: a request's protobuf, gRPC and HTTP/2 (130) in four TCP segments of
# Ethernet (270) and one acknowledgement; an answer's, with its events (350), and two acknowledgements.
OVERHEAD_UP, DOWN = 470, 480
MAX_SIMULATED = 2_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("--streams", type=int, required=True, metavar="N", help="live streams in the busy hour, on average")
    add("--from", dest="source", type=Path, required=True, metavar="RUN", help="folder of a capacity run")
    add("--utilisation", type=float, default=0.7, metavar="SHARE", help="of the measured capacity to use (default 0.7)")
    add("--failures", type=int, default=1, metavar="N", help="hosts that may fail at once (default 1)")
    add("--refusals", type=float, default=0.001, metavar="SHARE", help="calls that may be refused (default 0.001)")
    add("--call-seconds", type=float, default=180.0, metavar="S", help="mean length of a call (default 180 s)")
    add("--price-per-hour", type=float, default=0.0, metavar="PRICE", help="of one host, in any currency")


@dataclass(frozen=True)
class Plan:
    """What is needed.

    Attributes:
        hosts: in all, spares included.
        slots: streams that each host admits, its measured capacity.
        used: mean streams per host with all hosts up, as a share of the capacity.
        used_failed: the same with the failures.
        refusals: share of calls refused with the failures, from the formula: all slots as one group.
        simulated: the same by simulation, where the balancer is not perfect.
        peak: most streams seen on one host in the simulation.
    """

    hosts: int
    slots: int
    used: float
    used_failed: float
    refusals: float
    simulated: float
    peak: int


def make_plan(streams: int, capacity: int, utilisation: float, failures: int, refusals: float) -> Plan:
    """Find the fewest hosts that keep all three promises.

    With all hosts up the mean load is at most `utilisation` of the capacity; with `failures` hosts down it fits and no
    more than a share `refusals` of calls is refused, by Erlang's formula and by simulation.

    Raises:
        UsageError: an argument makes no sense.
    """
    if streams < 1 or not 0.05 <= utilisation <= 1 or failures < 0 or not 0 < refusals < 1:
        raise UsageError(
            "--streams must be 1 or more, --utilisation 0.05 to 1, --failures 0 or more, --refusals 0 to 1"
        )
    hosts = max(math.ceil(streams / (capacity * utilisation)), failures + 1)
    while True:
        up = hosts - failures
        if up > 0 and blocking(streams, up * capacity) <= refusals:
            arrivals = min(MAX_SIMULATED, max(20_000, 5 * streams))
            simulated, peak = simulate(streams, up, capacity, arrivals=arrivals)
            if simulated <= refusals:
                used, failed = streams / (hosts * capacity), streams / (up * capacity)
                return Plan(hosts, capacity, used, failed, blocking(streams, up * capacity), simulated, peak)
        hosts += 1


def run(args: argparse.Namespace) -> int:
    """Print the plan.

    Raises:
        UsageError: the run has no capacity, or an option makes no sense.
    """
    measured = Run.load(args.source)
    level = measured.confirmed
    if level is None or measured.kind != "capacity":
        raise UsageError(f"{args.source} has no confirmed capacity; take the folder of a 'tritone bench capacity' run")
    if args.streams > 10_000_000:
        raise UsageError(f"--streams {args.streams} is above 10000000")
    plan = make_plan(args.streams, level.streams, args.utilisation, args.failures, args.refusals)
    out(*describe(plan, measured, args))
    return 0


def _share(value: float) -> str:
    return f"{value:.4%}" if value >= 1e-6 else "less than 0.0001%"


def describe(plan: Plan, measured: Run, args: argparse.Namespace) -> list[str]:
    """The plan and what it assumes, as lines."""
    level = measured.confirmed
    assert level is not None
    per_second = args.streams / PERIOD_S
    up, down = (per_second * size * 8 / 1e9 for size in (CHUNK_BYTES + OVERHEAD_UP, DOWN))
    gpu = measured.machine.get("gpu", "")
    kind = f"{measured.machine.get('processor', '?')}, {measured.machine.get('cores', '?')} cores"
    begin = args.streams / args.call_seconds
    lines = [
        f"{args.streams} live streams: {plan.hosts} hosts like '{measured.host}' ({kind}{gpu and ', '}{gpu})",
        f"  load      {plan.used:.0%} of the measured capacity of {plan.slots} streams a host; "
        f"{plan.used_failed:.0%} with {args.failures} down",
        f"  refusals  with {args.failures} down: {_share(plan.refusals)} by Erlang B, "
        f"{_share(plan.simulated)} simulated; at most {plan.peak} streams on one host",
        f"  calls     {begin:.0f} begin per second, {begin * 3600:.0f} in the busy hour, {args.call_seconds:g} s each",
        f"  requests  {per_second:.0f} per second in all, {per_second / plan.hosts:.0f} per host",
        f"  network   {up:.2f} Gbit/s in, {down:.2f} Gbit/s out in all; {1e3 * up / plan.hosts:.1f} Mbit/s in per host",
    ]
    if level.usage.service_mib:
        per_stream = measured.memory_per_stream(level) or 0.0
        need = (measured.idle_mib or level.usage.service_mib) + per_stream * plan.slots
        lines.append(f"  memory    {need:.0f} MiB per host ({per_stream:.2f} MiB per stream)")
    if level.usage.gpu_mib:
        lines.append(f"  GPU       {level.usage.gpu_mib:.0f} MiB of memory per host")
    if args.price_per_hour > 0:
        total = plan.hosts * args.price_per_hour
        lines.append(f"  cost      {total:.2f} per hour, {total / args.streams:.6f} per stream-hour")
    return [
        *lines,
        "assumes: calls begin at random (Poisson) with exponential lengths, which the result hardly depends on;",
        f"  every host carries what was measured then: {level.streams} streams at p99 {level.p99_ms:.0f} ms;",
        "  a balancer that takes the emptier of two random hosts, and clients that try three times;",
        "  linear PCM at 8 kHz, one request per 300 ms; latency of the network between client and host comes on top.",
    ]
