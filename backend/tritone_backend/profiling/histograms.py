"""Histograms of stage times as plain arrays, filled a batch at a time. Publishing them is done elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tritone_backend.profiling.names import BUCKETS_S


class Histograms:
    """One histogram a column over the same buckets; NaN is no observation.

    Attributes:
        counts: int64 [columns, buckets], observations in each bucket alone; the last bucket has no upper bound.
        sums: float64 [columns], sum of the observations in microseconds.
    """

    def __init__(self, columns: int) -> None:
        self._bounds = np.array([*(bound * 1e6 for bound in BUCKETS_S), np.inf])
        self._width = len(self._bounds) + 1  # NaN sorts behind infinity, into a bucket of its own
        self._offsets = np.arange(columns) * self._width
        self._places = np.zeros(columns * self._width, np.int64)
        self.sums = np.zeros(columns)

    @property
    def counts(self) -> NDArray[np.int64]:
        """A view; see the class."""
        return self._places.reshape(-1, self._width)[:, :-1]

    def add(self, table: NDArray[np.float64]) -> None:
        """Take observations in microseconds, float64 [N, columns]. An observation belongs to the first bound >= it."""
        places = np.searchsorted(self._bounds, table) + self._offsets
        self._places += np.bincount(places.reshape(-1), minlength=len(self._places))
        self.sums += np.nansum(table, axis=0)

    def cumulative(self) -> NDArray[np.int64]:
        """int64 [columns, buckets]: observations up to each bound, as Prometheus counts them."""
        return self.counts.cumsum(axis=1)
