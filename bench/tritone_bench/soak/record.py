"""One soak run as a record: what was offered, what was seen, over time. Judges nothing, draws nothing."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tritone_bench.calls import PERIOD_S
from tritone_bench.level import Level
from tritone_bench.soak.samples import Samples
from tritone_bench.soak.visitors import Guests
from tritone_bench.task import Outcome, Report

FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What is offered.

    Attributes:
        capacity: live calls that the service carries, and its slots.
        share: offered load as a share of it.
        mean_call_s: mean length of the calls.
        seconds: how long calls come, the warm-up included.
        warm_s: of it, seconds in which the service may still grow.
        interval_s: seconds of one point of the latency curves.
        sample_s: seconds between samples of resources.
    """

    capacity: int
    share: float
    mean_call_s: float
    seconds: float
    warm_s: float
    interval_s: float
    sample_s: float

    @property
    def erlang(self) -> float:
        """Mean number of calls that would be live if none was refused."""
        return self.share * self.capacity

    @property
    def arrivals_per_s(self) -> float:
        """New calls per second."""
        return self.erlang / self.mean_call_s


@dataclass(frozen=True)
class Interval:
    """Chunks that were due within one interval; latencies in ms, as everywhere in the bench.

    Attributes:
        second: its begin, seconds since the run's.
        chunks: due ones of admitted calls.
        p50_ms, p99_ms, max_ms: of their latency.
        late, lost: answered later than a chunk lasts; never, or with an error.
        refused: calls turned away.
    """

    second: float
    chunks: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    late: int
    lost: int
    refused: int


@dataclass
class Soak:
    """A soak run.

    Attributes:
        when, host, command, revision, machine, versions, service: as in `Run`.
        plan: what was offered.
        threshold_ms: p99 that must not be passed.
        max_lag_ms: the load generator's own p99 lag that must not be passed.
        intervals: latency over time.
        samples: resources over time.
        level: the whole run in numbers.
        calls: calls begun, refused ones included.
        guests: the visitors.
        after: the service's counters, as growth since the begin, and gauges when all calls were over and the last
            vanished one's idle limit had passed.
        emptied_s: how long that took after the last call; None when slots were still taken at the end.
        left_files: of the service in /dev/shm after its end; None when it was not started here.
        error: why the run is partial; empty when it is whole.
        remark: of the person who ran it.
    """

    when: str
    host: str
    command: str
    revision: str
    machine: dict[str, str]
    versions: dict[str, str]
    service: dict[str, str]
    plan: Plan
    threshold_ms: float
    max_lag_ms: float
    intervals: list[Interval] = field(default_factory=list)
    samples: Samples = field(default_factory=Samples)
    level: Level | None = None
    calls: int = 0
    guests: Guests = field(default_factory=Guests)
    after: dict[str, float] = field(default_factory=dict)
    emptied_s: float | None = None
    left_files: int | None = None
    error: str = ""
    remark: str = ""

    def flat_series(self, name: str) -> list[tuple[float, float]]:
        """A series of samples from the end of the warm-up until calls cease."""
        return self.samples.series(name, self.plan.warm_s, self.plan.seconds)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, without the series, which are in the CSV files."""
        plain = {**vars(self), "plan": asdict(self.plan), "level": self.level.as_dict() if self.level else None}
        plain |= {"guests": asdict(self.guests), "erlang": self.plan.erlang, "arrivals_per_s": self.plan.arrivals_per_s}
        for table in ("intervals", "samples"):
            del plain[table]
        return {"format": FORMAT, **plain}

    def save(self, folder: Path, verdict: list[dict[str, Any]]) -> None:
        """Write ``soak.json``, ``intervals.csv`` and ``samples.csv``."""
        text = json.dumps({**self.as_dict(), "verdict": verdict}, ensure_ascii=False, indent=1)
        (folder / "soak.json").write_text(text + "\n", encoding="utf-8")
        _write_table(folder / "intervals.csv", list(Interval.__annotations__), [asdict(one) for one in self.intervals])
        _write_table(folder / "samples.csv", ["second", *self.samples.names], self.samples.rows)


def intervals(report: Report, length_s: float, begin_s: float = 0.0) -> list[Interval]:
    """Latency of a report's chunks by the interval in which they were due; a last one shorter than half is left out.

    Args:
        report: of the load generators.
        length_s: of an interval.
        begin_s: when the report's window opened, seconds since the run's begin.
    """
    number = np.floor(report.due_s / length_s).astype(np.int64)
    end = float(report.due_s.max()) if len(report.due_s) else 0.0
    found = []
    for one in np.unique(number):
        if one and end - one * length_s < length_s / 2:
            continue
        here = number == one
        outcome = report.outcome[here]
        admitted = outcome != Outcome.REFUSED
        latency = report.latency_s[here][admitted].astype(np.float64) * 1e3
        if not len(latency):
            latency = np.zeros(1)
        p50, p99 = (float(q) for q in np.percentile(latency, (50, 99)))
        found.append(
            Interval(
                begin_s + float(one) * length_s,
                int(admitted.sum()),
                round(p50, 2),
                round(p99, 2),
                round(float(latency.max()), 2),
                int((latency > PERIOD_S * 1e3).sum()),
                int(np.isin(outcome, (Outcome.FAILED, Outcome.MISSING)).sum()),
                int((~admitted).sum()),
            )
        )
    return found


def _write_table(path: Path, names: list[str], rows: list[dict[str, float]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: round(value, 3) for name, value in row.items()})
