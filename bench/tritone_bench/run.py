"""One run of the bench as a record that can be saved, loaded, drawn and compared."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tritone_bench.errors import UsageError
from tritone_bench.level import Level
from tritone_bench.task import Outcome, Report

FORMAT = 1
CURVE = (*range(0, 90, 5), *range(90, 99), 99, 99.2, 99.5, 99.8, 99.9, 99.95, 99.99, 100)
BLOCKS = 10


@dataclass
class Run:
    """A run.

    Attributes:
        kind: ``capacity``, ``load`` or ``rates``.
        when: UTC, ISO 8601.
        host: name of the machine.
        command: what was typed.
        revision: git revision of the bench.
        machine, versions, service, settings: facts, by name.
        threshold_ms: p99 that must not be passed.
        reference_ms: median time of a chunk when it is alone on the service.
        idle_mib: memory of the service before any load.
        roof_chunks_per_s: what the engine does alone, when it was measured.
        levels: every load, in order.
        confirmed: the answer.
        limit: what limits, one line.
        curve: [percentile, milliseconds] of the main level.
        timeline: [second, p50, p99 in ms, chunks, late] of the main level.
        blocks: p50, p95, p99 of equal parts of the main level, for the spread.
        error: why the run is partial; empty when it is whole.
    """

    kind: str
    when: str
    host: str
    command: str
    revision: str
    machine: dict[str, str]
    versions: dict[str, str]
    service: dict[str, str]
    settings: dict[str, str]
    threshold_ms: float
    reference_ms: float = 0.0
    idle_mib: float | None = None
    roof_chunks_per_s: float | None = None
    levels: list[Level] = field(default_factory=list)
    confirmed: Level | None = None
    limit: str = ""
    curve: list[list[float]] = field(default_factory=list)
    timeline: list[list[float]] = field(default_factory=list)
    blocks: list[list[float]] = field(default_factory=list)
    error: str = ""

    @property
    def main(self) -> Level | None:
        """The level that stands for the run."""
        return self.confirmed or (self.levels[-1] if self.levels else None)

    def best_levels(self) -> list[Level]:
        """Measured levels by streams; of several with as many, the one with the lowest p99."""
        best: dict[int, Level] = {}
        for level in sorted((level for level in self.levels if level.chunks), key=lambda level: -level.p99_ms):
            best[level.streams] = level
        return [best[streams] for streams in sorted(best)]

    def memory_per_stream(self, level: Level) -> float | None:
        """MiB per stream, or None when the service's memory was not seen.

        Growth between the first loads, smallest and largest, before any was too much: the first one also fills caches
        that no further stream needs, and overload leaves memory behind. With a single load, growth above idle.
        """
        if not level.usage.service_mib:
            return None
        carried = list(itertools.takewhile(lambda one: not one.failed, self.levels))
        seen = [(one.streams, one.usage.service_mib) for one in carried if one.usage.service_mib]
        (few, least), (many, most) = min(seen, default=(0, 0.0)), max(seen, default=(0, 0.0))
        if many > few:
            return max(0.0, most - least) / (many - few)
        if self.idle_mib is None:
            return None
        return max(0.0, level.usage.service_mib - self.idle_mib) / max(1, level.streams)

    def digest(self, report: Report) -> None:
        """Take curve, timeline and blocks of the main level from its raw data."""
        latency = report.latency_s.astype(np.float64) * 1e3
        if not len(latency):
            return
        self.curve = [[float(q), float(v)] for q, v in zip(CURVE, np.percentile(latency, CURVE), strict=True)]
        self.timeline = []
        seconds = np.floor(report.due_s).astype(np.int64)
        for second in np.unique(seconds):
            part = latency[seconds == second]
            late = int((part > 300.0).sum())
            self.timeline.append(
                [float(second), *np.percentile(part, (50, 99)).tolist(), float(len(part)), float(late)]
            )
        order = np.argsort(report.due_s, kind="stable")
        self.blocks = [
            [float(q) for q in np.percentile(latency[part], (50, 95, 99))]
            for part in np.array_split(order, BLOCKS)
            if len(part)
        ]

    def save(self, path: Path) -> None:
        """Write the record as JSON."""
        path.write_text(json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, source: Path) -> Run:
        """Read a record.

        Args:
            source: a run's folder, or its ``run.json``.

        Raises:
            UsageError: there is none.
        """
        path = source / "run.json" if source.is_dir() else source
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if data.pop("format") != FORMAT:
                raise UsageError(f"{path} is of another version of the bench")
            data["levels"] = [Level.from_dict(level) for level in data["levels"]]
            data["confirmed"] = Level.from_dict(data["confirmed"]) if data["confirmed"] else None
            return cls(**data)
        except OSError as error:
            raise UsageError(f"no run at {source} ({error.strerror}); give a folder of bench/results") from None
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} is not a run of the bench ({error!r})") from None


def raw_rows(report: Report, most: int) -> list[str]:
    """Lines of a CSV file: due (s), latency (ms), outcome; a regular sample when there are more than `most`."""
    step = -(-len(report.due_s) // most) if len(report.due_s) else 1
    order = np.argsort(report.due_s, kind="stable")[::step]
    names = [outcome.name.lower() for outcome in Outcome]
    return [f"{report.due_s[i]:.4f},{report.latency_s[i] * 1e3:.3f},{names[report.outcome[i]]}" for i in order]
