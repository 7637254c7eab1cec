"""Publishes the loop's counters on Triton's /metrics. Names are here and nowhere else."""

from __future__ import annotations

from typing import Any

import triton_python_backend_utils as pb_utils

from tritone_backend.counters import Counters

_GAUGES = {
    "slots": "Streams that fit at once",
    "live": "Streams alive",
}
_TOTALS = {
    "admitted": "Streams that got a slot",
    "refused": "Streams turned away for want of a slot or of time",
    "reaped": "Streams dropped because their client went silent",
    "rejected": "Requests rejected as malformed or unknown",
    "failed": "Streams lost to an error of the service",
    "failed_batches": "Network steps that failed",
    "batches": "Network steps",
    "chunks": "Chunks through the network",
    "late": "Chunks that waited longer for their batch than they last",
}


class Metrics:
    """Custom metrics of one Triton model: ``tritone_streams_...`` and ``tritone_..._total``, label ``model``."""

    def __init__(self, model: str) -> None:
        labels = {"model": model}
        self._families: list[Any] = []  # a family must outlive its metrics
        self._gauges = {
            key: self._metric(f"tritone_streams_{key}", text, "GAUGE", labels) for key, text in _GAUGES.items()
        }
        self._totals = {
            key: self._metric(f"tritone_{key}_total", text, "COUNTER", labels) for key, text in _TOTALS.items()
        }
        self._published = dict.fromkeys(_TOTALS, 0)

    def publish(self, counters: Counters) -> None:
        """Bring the metrics up to date."""
        for key, gauge in self._gauges.items():
            gauge.set(getattr(counters, key))
        for key, total in self._totals.items():
            value = getattr(counters, key)
            if value != self._published[key]:
                total.increment(value - self._published[key])
                self._published[key] = value

    def _metric(self, name: str, description: str, kind: str, labels: dict[str, str]) -> Any:
        family = pb_utils.MetricFamily(name=name, description=description, kind=getattr(pb_utils.MetricFamily, kind))
        self._families.append(family)
        return family.Metric(labels=labels)
