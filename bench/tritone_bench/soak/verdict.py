"""Whether a soak run was flat and clean: every check with its bound. A run passes when all of them do.

A resource has grown when the line through its samples after the warm-up rises by more than its bound an hour, and by
more than its floor in the time that was seen: below the floor a rise cannot be told from calls coming and going, and
without it a run of half a minute would be judged by its noise times 120. Resident memory must also still rise at the
end, at half the bound or more in the last third: a leak goes on, a heap that fills slows down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tritone_bench import erlang
from tritone_bench.level import Level
from tritone_bench.soak.record import Soak
from tritone_bench.soak.trend import Trend, trend

CARRIED = 0.85
HASTE = 0.001
"""So many finals a call may have greedy words because the search was late; one is always allowed."""
NOTICE_S = 15.0
"""Slots must be free so long after the idle limit of the last caller who vanished."""


@dataclass(frozen=True)
class Bound:
    """How much a series may grow.

    Attributes:
        unit: of its values.
        per_hour: growth per hour that is too much ...
        floor: ... when it also grew so much in the time that was seen.
        of_median: the same two as shares of the series' median, when larger.
        fills: an allocator keeps it, so that it rises without a leak until that has seen its busiest moments.
    """

    unit: str
    per_hour: float
    floor: float
    of_median: float = 0.0
    fills: bool = False

    def broken_by(self, line: Trend, end: Trend) -> bool:
        """Whether a series is growing, by its trend and that of its last third."""
        share = self.of_median * line.median
        rises = line.per_hour > max(self.per_hour, share) and line.grown > max(self.floor, share / 2)
        return rises and not (self.fills and end.per_hour < self.per_hour / 2)


BOUNDS = {
    "MiB": Bound("MiB", per_hour=4.0, floor=2.0, fills=True),
    "files": Bound("files", per_hour=1.0, floor=1.0),
    "threads": Bound("threads", per_hour=1.0, floor=1.0),
    "shared": Bound("MiB", per_hour=1.0, floor=0.5),
}
"""By the first word of a series' name."""
LATENCY = Bound("ms", per_hour=20.0, floor=10.0, of_median=0.25)


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    Attributes:
        name: the question.
        passed: the answer.
        seen: what was seen, for a person.
        bound: what would have been too much.
    """

    name: str
    passed: bool
    seen: str
    bound: str


def empty_again_s(service: Mapping[str, str]) -> float:
    """Within how many seconds after the last call all slots of a service must be free, by its parameters."""
    return float(service.get("idle_timeout_s") or 60.0) + NOTICE_S


def judge(soak: Soak) -> list[Check]:
    """All checks of a run."""
    level = soak.level
    if level is None or not level.chunks:
        return [Check("calls", False, "nothing was measured", "")]
    return [*_growth(soak), *_calls(soak, level), *_end(soak)]


def passed(checks: list[Check]) -> bool:
    """Whether a run passed."""
    return bool(checks) and all(check.passed for check in checks)


def plain(checks: list[Check]) -> list[dict[str, Any]]:
    """Checks as plain data."""
    return [asdict(check) for check in checks]


def _growth(soak: Soak) -> list[Check]:
    resources = [name for name in soak.samples.names if name.split()[0] in BOUNDS and not name.endswith(" other")]
    found = [_flat(name, soak.flat_series(name), BOUNDS[name.split()[0]]) for name in resources]
    if not resources:
        found.append(Check("resources", False, "the service's processes are out of sight", "same machine"))
    warm = [one for one in soak.intervals if one.second >= soak.plan.warm_s]
    for name in ("p50_ms", "p99_ms"):
        points = [(one.second, float(getattr(one, name))) for one in warm]
        found.append(_flat(name.removesuffix("_ms") + " of an interval", points, LATENCY))
    return found


def _flat(name: str, points: list[tuple[float, float]], bound: Bound) -> Check:
    line, end = trend(points), trend(points[len(points) * 2 // 3 :])
    seen = f"{line.median:.1f} {bound.unit}, {line.per_hour:+.2f} an hour"
    seen += f", {end.per_hour:+.2f} in the last third" if bound.fills else ""
    limit = f"+{max(bound.per_hour, bound.of_median * line.median):.3g} {bound.unit} an hour"
    if line.span_s <= 0:
        return Check(f"flat: {name}", False, f"{len(points)} values after the warm-up", limit)
    return Check(f"flat: {name}", not bound.broken_by(line, end), seen, limit)


def _calls(soak: Soak, level: Level) -> list[Check]:
    predicted = erlang.blocking(soak.plan.erlang, soak.plan.capacity)
    live = [value for _, value in soak.flat_series("live")]
    mean = sum(live) / len(live) if live else 0.0
    least = CARRIED * soak.plan.erlang * (1.0 - predicted)
    refused = level.refused / max(1, soak.calls)
    counters = soak.after
    untyped = {text: times for text, times in level.errors.items() if "[tritone:full" not in text}
    troubles = {name: counters.get(name, 0.0) for name in ("failed", "failed batches", "restarts")}
    hurried = soak.samples.growth("in haste", soak.plan.seconds)
    return [
        Check("load was carried", mean >= least, f"{mean:.1f} calls live on average", f"at least {least:.1f}"),
        Check(
            "refusals have a type",
            not untyped and not soak.guests.failed,
            f"{level.refused} of {soak.calls} calls refused ({refused:.1%}; Erlang says {predicted:.1%}), "
            f"{sum(untyped.values()) + soak.guests.failed} other errors"
            + (f": {next(iter(untyped), soak.guests.error)}" if untyped or soak.guests.failed else ""),
            "0 other errors",
        ),
        Check("no chunk lost", level.lost == 0 and not level.fatal, f"{level.lost} of {level.chunks}", "0"),
        Check(
            "no wrong word",
            level.wrong <= hurried,
            f"{level.wrong} of {level.checked} calls had other words, {hurried:.0f} finals were made in haste",
            "no call beyond those",
        ),
        Check(
            "finals have time",
            hurried <= max(1.0, HASTE * level.checked),
            f"{hurried:.0f} in haste in {level.checked} calls",
            f"{HASTE:.1%} of the calls",
        ),
        Check("p99 of all chunks", level.p99_ms <= soak.threshold_ms, f"{level.p99_ms:.1f} ms",
              f"{soak.threshold_ms:g} ms"),
        Check("generator on time", level.lag_p99_ms <= soak.max_lag_ms, f"p99 {level.lag_p99_ms:.2f} ms late itself",
              f"{soak.max_lag_ms:g} ms"),
        Check("no trouble inside", not any(troubles.values()),
              ", ".join(f"{name} {value:.0f}" for name, value in troubles.items()), "0 each"),
    ]  # fmt: skip


def _end(soak: Soak) -> list[Check]:
    after = soak.after
    taken = after.get("slots", 0.0) - after.get("free", -1.0) if "live" in after else float("nan")
    reaped, empty_s = after.get("reaped", 0.0), empty_again_s(soak.service)
    checks = [
        Check(
            "slots return",
            soak.emptied_s is not None and taken == 0,
            f"{taken:.0f} taken {empty_s if soak.emptied_s is None else soak.emptied_s:.0f} s after the last call",
            f"0 within {empty_s:g} s",
        ),
        Check(
            "only the vanished were reaped",
            reaped == soak.guests.vanished,
            f"{reaped:.0f} reaped, {soak.guests.vanished} vanished",
            "equal",
        ),
    ]
    if soak.samples.first:
        gone = len(soak.samples.first - soak.samples.last)
        checks.append(Check("same processes", not gone, f"{gone} of {len(soak.samples.first)} replaced", "0"))
    if soak.left_files is not None:
        checks.append(Check("nothing in /dev/shm after the end", not soak.left_files, f"{soak.left_files} files", "0"))
    return checks
