"""The stage times of one chunk on its way. A plain list, so that filling it costs next to nothing."""

from __future__ import annotations

from math import nan

import numpy as np
from numpy.typing import NDArray

from tritone_backend.profiling.names import QUEUE, STAGES

StageTimes = list[float]
"""Microseconds by the indices of `names` (QUEUE ... PACK); NaN where a stage did not happen, or not yet."""


def new_stage_times(queue_us: float = nan) -> StageTimes:
    """Times of a chunk that has only waited for its turn."""
    times = [nan] * len(STAGES)
    times[QUEUE] = queue_us
    return times


def as_timing(times: StageTimes) -> NDArray[np.float32]:
    """The `timing` output: float32 [len(STAGES)], 0 where a stage did not happen."""
    return np.nan_to_num(np.array(times, np.float32))
