"""How fast a series of samples grows, robustly: the median of all slopes between two of them (Theil and Sen)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

HOUR_S = 3600.0
MAX_POINTS = 1500


@dataclass(frozen=True)
class Trend:
    """A line through a series.

    Attributes:
        per_hour: growth, in the series' unit per hour.
        grown: growth from the first sample to the last, by the line.
        median: of the values.
        span_s: seconds from the first sample to the last.
    """

    per_hour: float
    grown: float
    median: float
    span_s: float


def trend(points: Sequence[tuple[float, float]]) -> Trend:
    """The line through (second, value) points; up to 29 % of wild ones do not move it, unlike least squares.

    A series that is flat but for steps shows as flat until the steps are more than the noise; two points and fewer
    have no trend.
    """
    if len(points) < 3:
        return Trend(0.0, 0.0, float(np.median([value for _, value in points])) if points else 0.0, 0.0)
    step = -(-len(points) // MAX_POINTS)
    times, values = np.array(points[::step], np.float64).T
    first, second = np.triu_indices(len(times), 1)
    apart = times[second] - times[first]
    slopes = (values[second] - values[first])[apart > 0] / apart[apart > 0]
    slope = float(np.median(slopes)) if len(slopes) else 0.0
    span = float(times[-1] - times[0])
    return Trend(slope * HOUR_S, slope * span, float(np.median(values)), span)
