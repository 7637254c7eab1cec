"""A seeded list of faults and when they strike: the same seed gives the same list, whatever the machine does."""

from __future__ import annotations

import random
from dataclasses import dataclass

INSIDE = (
    *("server-killed", "batch-failed", "out-of-memory", "engine-broken", "engine-stalled", "client-vanished"),
    *("client-frozen", "request-lost", "answer-lost", "network-cut", "network-slow", "drain-and-restart", "overload"),
)
"""Faults of `inside`."""
OUTSIDE = (
    *("server-killed", "stub-killed", "acoustic-stub-killed", "stub-frozen", "batch-failed", "out-of-memory"),
    *("engine-broken", "engine-stalled", "client-killed", "client-frozen", "half-open", "network-cut", "network-slow"),
    *("rolling-restart", "overload"),
)
"""Faults of `outside`."""


@dataclass(frozen=True)
class Strike:
    """One fault.

    Attributes:
        at: when, as a share of the run.
        fault: its name.
        target: number of the server that it strikes.
        strength: 0 to 1; what it means is the fault's matter.
    """

    at: float
    fault: str
    target: int
    strength: float


def schedule(seed: int, faults: tuple[str, ...], count: int) -> list[Strike]:
    """`count` strikes in order of time. Every fault comes first in turn as the seed rises; the others are drawn."""
    rng = random.Random(seed)
    chosen = [faults[seed % len(faults)], *(rng.choice(faults) for _ in range(count - 1))]
    rng.shuffle(chosen)
    times = sorted(rng.uniform(0.05, 0.8) for _ in chosen)
    return [Strike(at, fault, rng.randrange(2), rng.random()) for at, fault in zip(times, chosen, strict=True)]
