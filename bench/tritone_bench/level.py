"""What one load did to the service, in numbers: the unit that searches, tables and reports are made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tritone_bench.calls import PERIOD_S
from tritone_bench.task import Outcome, Report

QUANTILES = (50.0, 95.0, 99.0, 99.9)


@dataclass
class StageTime:
    """One stage of a chunk's way.

    Attributes:
        name: the service's name for it, or ``transport`` for all that is outside its model: network, gRPC, Triton.
        mean_us, p50_us, p95_us, p99_us: of the sampled chunks, in microseconds.
    """

    name: str
    mean_us: float
    p50_us: float
    p95_us: float
    p99_us: float


@dataclass
class Usage:
    """What machine resources a load took while it was measured.

    Attributes:
        service_cores: processor seconds per second of the service with everything it started; None when remote.
        server_cores: of it, the processes that are not the model's.
        service_mib: most resident memory of the service, shared pages counted once.
        generator_cores: the same of the load generator.
        gpu_percent: mean utilisation of the GPUs, None without one.
        gpu_mib: most memory in use on the GPUs.
        batch: mean number of streams in one network step, None without metrics.
        steps_per_s: network steps per second.
        loop_busy: share of the time that the model's loop worked.
        triton_ms: Triton's own mean milliseconds a request: waiting in its queue, copying in, the model's process,
            copying out and answering, and the whole of it.
        other_cores: what all other programs of this machine took, and what its host withheld from it.
        degraded: finals with greedy words for want of time, in the whole load; only asked when words were wrong.
    """

    service_cores: float | None = None
    server_cores: float | None = None
    service_mib: float | None = None
    generator_cores: float = 0.0
    gpu_percent: float | None = None
    gpu_mib: float | None = None
    batch: float | None = None
    steps_per_s: float | None = None
    loop_busy: float | None = None
    triton_ms: dict[str, float] | None = None
    other_cores: float | None = None
    degraded: int | None = None


@dataclass
class Level:
    """One measured load. Latencies in milliseconds, from when a chunk's last sample exists to its answer.

    Attributes:
        streams: live streams held.
        seconds: length of the window that was measured.
        chunks: chunks that were due in the window; all numbers below are of these.
        chunks_per_s: answered ones per second.
        sps: streams per second of audio, chunks/s times the length of a chunk.
        mean_ms, p50_ms, p95_ms, p99_ms, p999_ms, max_ms: latency; without an answer, the time waited.
        late: answered later than one chunk lasts.
        lost: answered with an error, or not at all.
        refused: streams turned away.
        checked, wrong, differing: calls compared; with wrong words; with right words but other events.
        lag_p50_ms, lag_p99_ms, lag_max_ms: how late the generator itself was.
        usage: machine resources.
        stages: where sampled chunks spent their time.
        failed: why this load is too much, empty when it is not.
        errors: messages of the service and their number.
        mistakes: calls with wrong words: call, expected, got.
        fatal: why the run was broken off.
        cut: the load was ended early because its outcome was certain.
    """

    streams: int
    seconds: float
    chunks: int = 0
    chunks_per_s: float = 0.0
    sps: float = 0.0
    mean_ms: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0
    max_ms: float = 0.0
    late: int = 0
    lost: int = 0
    refused: int = 0
    checked: int = 0
    wrong: int = 0
    differing: int = 0
    lag_p50_ms: float = 0.0
    lag_p99_ms: float = 0.0
    lag_max_ms: float = 0.0
    usage: Usage = field(default_factory=Usage)
    stages: list[StageTime] = field(default_factory=list)
    failed: str = ""
    errors: dict[str, int] = field(default_factory=dict)
    mistakes: list[list[str]] = field(default_factory=list)
    fatal: str | None = None
    cut: bool = False

    @property
    def hurried(self) -> bool:
        """Whether the service itself says that all wrong words are greedy ones, for want of time: a load too much."""
        return 0 < self.wrong <= (self.usage.degraded or 0)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Level:
        """The reverse of `as_dict`."""
        usage, stages = Usage(**data["usage"]), [StageTime(**stage) for stage in data["stages"]]
        return cls(**{**data, "usage": usage, "stages": stages})


def summarise(report: Report, streams: int, threshold_ms: float, stage_names: list[str]) -> Level:
    """The numbers of a report.

    Args:
        report: of all generators.
        streams: live streams that were to be held.
        threshold_ms: p99 above which the load is too much.
        stage_names: of the columns of `Report.timing_us` after the first.
    """
    seconds = float(report.due_s.max() - report.due_s.min()) + PERIOD_S / max(1, streams) if len(report.due_s) else 0.0
    level = Level(streams, seconds, chunks=len(report.due_s))
    level.checked, level.wrong, level.differing = report.checked, report.wrong, report.differing
    level.errors, level.fatal = report.errors, report.fatal
    level.mistakes = [[mistake.call, mistake.expected, mistake.got] for mistake in report.mistakes]
    level.refused = sum(times for message, times in report.errors.items() if "[tritone:full" in message)
    if level.chunks:
        latency = report.latency_s.astype(np.float64) * 1e3
        answered = report.outcome == Outcome.ANSWERED
        level.chunks_per_s = float(answered.sum()) / seconds
        level.sps = level.chunks_per_s * PERIOD_S
        level.mean_ms = float(latency.mean())
        level.p50_ms, level.p95_ms, level.p99_ms, level.p999_ms = (float(q) for q in np.percentile(latency, QUANTILES))
        level.max_ms = float(latency.max())
        level.late = int(((latency > PERIOD_S * 1e3) & (report.outcome != Outcome.REFUSED)).sum())
        level.lost = int(np.isin(report.outcome, (Outcome.FAILED, Outcome.MISSING)).sum())
    if len(report.lag_s):
        lag = report.lag_s.astype(np.float64) * 1e3
        level.lag_p50_ms, level.lag_p99_ms = (float(q) for q in np.percentile(lag, (50.0, 99.0)))
        level.lag_max_ms = float(lag.max())
    level.stages = _stages(report, stage_names)
    level.failed = _verdict(level, threshold_ms)
    return level


def _verdict(level: Level, threshold_ms: float) -> str:
    """Why a load is too much, or nothing."""
    if level.fatal:
        return level.fatal
    if level.wrong:
        return f"{level.wrong} of {level.checked} calls came back with wrong words"
    if level.refused:
        why = next(message for message in level.errors if "[tritone:full" in message)
        return f"{level.refused} streams were refused: {why.split(' [tritone:')[0]}"
    if level.lost:
        why = max(level.errors, key=level.errors.__getitem__, default="no answer came")
        return f"{level.lost} chunks were lost: {why.split(' [tritone:')[0]}"
    if not level.chunks:
        return "nothing was measured"
    if level.p99_ms > threshold_ms:
        return f"p99 {level.p99_ms:.0f} ms is above {threshold_ms:g} ms"
    return ""


def _stages(report: Report, names: list[str]) -> list[StageTime]:
    samples = report.timing_us.astype(np.float64)
    if not len(samples) or samples.shape[1] != len(names) + 1:
        return []
    outside = np.maximum(0.0, samples[:, 0] - samples[:, 1:].sum(1))
    columns = {"transport": outside, **{name: samples[:, 1 + at] for at, name in enumerate(names)}}
    return [
        StageTime(name, float(values.mean()), *(float(q) for q in np.percentile(values, (50.0, 95.0, 99.0))))
        for name, values in columns.items()
    ]
