"""Latencies of many requests in little memory, and their percentiles.

When the clock starts is the caller's choice: the moment of sending, or the moment the last sample existed.
"""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True, slots=True)
class LatencySummary:
    """Percentiles of a set of latencies, by the nearest-rank method: each is a latency that occurred.

    Attributes:
        count: how many there were.
        p50: median, in milliseconds, as are the others; all are 0 when `count` is 0.
        p95: 95th percentile.
        p99: 99th percentile.
        maximum: the largest.
    """

    count: int
    p50: float
    p95: float
    p99: float
    maximum: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> LatencySummary:
        """Summarise latencies given in seconds."""
        ordered = sorted(seconds)
        if not ordered:
            return cls(0, 0.0, 0.0, 0.0, 0.0)
        p50, p95, p99 = (1000 * ordered[max(0, math.ceil(len(ordered) * q / 100) - 1)] for q in (50, 95, 99))
        return cls(len(ordered), p50, p95, p99, 1000 * ordered[-1])

    def __str__(self) -> str:
        return f"p50 {self.p50:.1f}, p95 {self.p95:.1f}, p99 {self.p99:.1f}, max {self.maximum:.1f} ms"


class LatencyRecorder:
    """Latencies in the order in which they occurred, eight bytes each."""

    def __init__(self) -> None:
        self._seconds = array("d")

    def add(self, seconds: float) -> None:
        """Note one latency."""
        self._seconds.append(seconds)

    @property
    def seconds(self) -> tuple[float, ...]:
        """All of them, in seconds."""
        return tuple(self._seconds)

    def summary(self) -> LatencySummary:
        """Percentiles so far."""
        return LatencySummary.of(self._seconds)
