"""From times of single steps to what is reported: percentiles, rates, shares of a ceiling. Nothing is timed here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tritone_bench.calls import PERIOD_S
from tritone_bench.engine_cost import Ceilings, Cost

QUANTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Timing:
    """How long to measure.

    Attributes:
        warm_up: seconds before anything counts.
        duration: least seconds that count.
        iterations: least steps that count.
        avg_runs: steps that are averaged into one latency.
    """

    warm_up: float = 0.5
    duration: float = 3.0
    iterations: int = 10
    avg_runs: int = 1


def summary(seconds: list[float], avg_runs: int) -> dict[str, float]:
    """Return count, mean, extremes and percentiles in ms of latencies, each the mean of ``avg_runs`` steps."""
    whole = len(seconds) // avg_runs * avg_runs
    values = 1e3 * np.array(seconds[:whole]).reshape(-1, avg_runs).mean(axis=1)
    found = {f"p{q}_ms": float(np.percentile(values, q)) for q in QUANTILES}
    low, high = float(values.min()), float(values.max())
    return {"steps": whole, "mean_ms": float(values.mean()), "min_ms": low, "max_ms": high, **found}


def rates(batch: int, seconds: float, cost: Cost | None, ceilings: Ceilings) -> dict[str, float]:
    """Return chunks/s, live streams (SPS), and the achieved share of the machine's ceilings."""
    found = {"chunks_per_s": batch / seconds, "sps": batch / seconds * PERIOD_S}
    if cost is not None:
        tflops = batch * cost.flop / seconds / 1e12
        gbs = (batch * cost.state_bytes + cost.weight_bytes) / seconds / 1e9
        found |= {"tflops": tflops, "tflops_share": tflops / ceilings.tflops}
        found |= {"least_gbs": gbs, "gbs_share": gbs / ceilings.gbs}
    return found
