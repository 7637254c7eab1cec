"""Publishes counters and histograms on Triton's /metrics. Names and helps are in profiling/names.py.

Every update of a Triton metric is a message to the server, 25 us of wall time, so that a thread of its own sends them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from tritone_backend.counters import Counters
from tritone_backend.profiling import names
from tritone_backend.profiling.histograms import Histograms
from tritone_backend.profiling.names import BUCKETS_S, Kind, Metric

_MEANS = (names.READY, names.DRAINING, names.RESTARTS, names.BUSY, names.BATCH_FILL, names.REAL_TIME_FACTOR)
"""What is no sum over instances: each publishes its share of the mean."""

SLOW_TICKS = 10
"""Histograms and ratios are published once in so many ticks: hundreds of series, and Prometheus asks every 15 s."""


class Metrics:
    """Custom metrics of one Triton model.

    Triton's own histograms take one observation a call. Ours are collected elsewhere and published as the counters
    that a histogram consists of: ``_bucket`` with the label ``le``, ``_sum`` and ``_count``.
    """

    def __init__(self, model: str, max_batch: int, chunk_seconds: float, instances: int = 1) -> None:
        """Register every metric, so that all series exist from the start, and start the thread.

        Args:
            model: the Triton model.
            max_batch: most streams of one network step.
            chunk_seconds: length of a chunk.
            instances: processes that publish the same series. Triton adds their changes up, so that numbers are of all
                of them together.
        """
        self._max_batch = max_batch
        self._chunk_seconds = chunk_seconds
        self._series = _Series(model, instances)
        self._restarts = int(os.environ.get("TRITONE_RESTARTS") or 0)  # the supervisor counts them
        self._ticks = 0
        self._before = Counters()
        self._wake = threading.Condition()
        self._waiting: tuple[Counters, tuple[NDArray[np.int64], NDArray[np.float64]] | None] | None = None
        self._stopping = False
        empty = Histograms(1 + len(names.STAGES))
        self._publish(self._before, (empty.cumulative(), empty.sums))
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def tick(self, counters: Counters, histograms: Histograms) -> None:
        """Hand over the present numbers; called on the loop's thread and returns at once."""
        self._ticks += 1
        slow = self._ticks % SLOW_TICKS == 0
        with self._wake:
            if self._waiting is not None and self._waiting[1] is not None:
                slow = True  # what was not published yet is replaced by newer numbers of the same kind
            snapshot = (histograms.cumulative(), histograms.sums.copy()) if slow else None
            self._waiting = (deepcopy(counters), snapshot)
            self._wake.notify()

    def stop(self) -> None:
        """End the thread after what it is publishing."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting is not None or self._stopping)
                if self._stopping:
                    return
                waiting, self._waiting = self._waiting, None
            assert waiting is not None
            self._publish(*waiting)

    def _publish(self, counters: Counters, histograms: tuple[NDArray[np.int64], NDArray[np.float64]] | None) -> None:
        put = self._series.put
        put(names.SLOTS, counters.slots)
        put(names.LIVE, counters.live)
        put(names.FREE, counters.free)
        put(names.READY, int(counters.ready))
        put(names.DRAINING, int(counters.draining))
        for metric, value in (
            (names.ADMITTED, counters.admitted),
            (names.REAPED, counters.reaped),
            (names.DRAINED, counters.drained),
            (names.FAILED, counters.failed),
            (names.FAILED_BATCHES, counters.failed_batches),
            (names.BATCHES, counters.batches),
            (names.CHUNKS, counters.chunks),
            (names.LATE, counters.late),
            (names.LATE_BATCHES, counters.late_batches),
            (names.LATE_PARTIALS, counters.late_partials),
            (names.RESTARTS, self._restarts),
            (names.BUSY, counters.busy_s),
        ):
            put(metric, value)
        self._publish_reasons(names.REFUSED, counters.refused)
        self._publish_reasons(names.REJECTED, counters.rejected)
        self._publish_reasons(names.DEGRADED, counters.degraded)
        if histograms is None:
            return
        self._publish_ratios(counters)
        cumulative, sums = histograms
        self._publish_histogram(names.CHUNK_SECONDS, "", cumulative[0], sums[0])
        for column, stage in enumerate(names.STAGES, 1):
            self._publish_histogram(names.STAGE_SECONDS, stage, cumulative[column], sums[column])

    def _publish_ratios(self, counters: Counters) -> None:
        """Averages since they were last published; 0 when nothing happened."""
        batches = counters.batches - self._before.batches
        chunks = counters.chunks - self._before.chunks
        busy_s = counters.busy_s - self._before.busy_s
        self._before = counters
        self._series.put(names.BATCH_FILL, chunks / (batches * self._max_batch) if batches else 0.0)
        self._series.put(names.REAL_TIME_FACTOR, busy_s / (chunks * self._chunk_seconds) if chunks else 0.0)

    def _publish_reasons(self, metric: Metric, totals: Mapping[str, int]) -> None:
        for reason in (*metric.values, *(reason for reason in totals if reason not in metric.values)):
            self._series.put(metric, totals.get(reason, 0), reason)

    def _publish_histogram(self, metric: Metric, value: str, cumulative: NDArray[np.int64], sum_us: float) -> None:
        for bound, count in zip((*(f"{bound:g}" for bound in BUCKETS_S), "+Inf"), cumulative.tolist(), strict=True):
            self._series.put(metric, count, value, suffix="_bucket", le=bound)
        self._series.put(metric, sum_us / 1e6, value, suffix="_sum")
        self._series.put(metric, int(cumulative[-1]), value, suffix="_count")


class _Series:
    """Triton's metric objects by name and labels, and the values they have, so that only changes are sent."""

    def __init__(self, model: str, instances: int) -> None:
        self._model = model
        self._instances = instances
        self._families: dict[str, Any] = {}  # a family must outlive its metrics
        self._metrics: dict[tuple[str, ...], Any] = {}
        self._values: dict[tuple[str, ...], float] = {}

    def put(self, metric: Metric, value: float, label_value: str = "", suffix: str = "", le: str = "") -> None:
        """Give one series of a metric its value."""
        key = (metric.name + suffix, label_value, le)
        if key not in self._metrics:
            labels = {"model": self._model}
            labels |= {metric.label: label_value} if metric.label else {}
            labels |= {"le": le} if le else {}
            self._metrics[key] = self._family(metric, suffix).Metric(labels=labels)
            self._values[key] = 0.0
        if metric in _MEANS:
            value /= self._instances
        change = value - self._values[key]
        if change:
            self._values[key] = value
            if metric.kind is Kind.GAUGE and self._instances == 1:
                self._metrics[key].set(value)
            else:
                self._metrics[key].increment(change)

    def _family(self, metric: Metric, suffix: str) -> Any:
        name = metric.name + suffix
        if name not in self._families:
            kind = pb_utils.MetricFamily.GAUGE if metric.kind is Kind.GAUGE else pb_utils.MetricFamily.COUNTER
            self._families[name] = pb_utils.MetricFamily(name=name, description=metric.help, kind=kind)
        return self._families[name]
