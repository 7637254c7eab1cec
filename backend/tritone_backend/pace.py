"""How long batches take here, and how many live streams that leaves room for. Arithmetic only; admits nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from tritone_backend.engines import Engine

WINDOW_S = 3
MIN_CHUNKS = 20
MOST_ROUND_SHARE = 0.2
"""A round may take this share of a chunk: it waits for one and takes one, two fifths of its length."""
MOST_BUSY_SHARE = 0.75
RUNS = 4
BLOCK, BLOCKS = 20, 3
"""So many batches of a size are averaged, and the slowest of so many averages corrects what the size was thought to
take: the quickest would be that of a lucky moment."""


@dataclass
class _Block:
    batches: int = 0
    took_s: float = 0.0
    means_s: list[float] = field(default_factory=list)


@dataclass
class _Second:
    second: int = -1
    chunks: int = 0
    took_s: float = 0.0
    expected_s: float = 0.0


class Pace:
    """Learns what a batch costs, ``fixed + per_chunk * size`` seconds, and follows how that changes under load.

    Both constants are measured before the first caller comes; afterwards the last seconds' batches say by which
    factor the machine is slower now, because other programs run, or answers and decoding cost more than thought.
    What was measured beside other work, such as another model that loads, was too slow, and would stay so: so blocks
    of live batches that are quicker than their size was thought to be correct it (`observe`).

    N streams that each send a chunk every T seconds make batches of ``N * round / T``, so that a round takes
    ``fixed * T / (T - N * per_chunk)``. That grows without bound long before a single chunk is late: waiting for late
    chunks would mean to turn callers away when it is too late for those who are in.
    """

    def __init__(self, chunk_seconds: float, max_batch: int) -> None:
        """Know nothing yet; ``max_batch`` is the most chunks a batch takes."""
        self._chunk_seconds = chunk_seconds
        self._max_batch = max_batch
        self._fixed = 0.0
        self._per_chunk = 0.0
        self._took: dict[int, float] = {}  # seconds of a batch by size, for some sizes
        self._blocks: dict[int, _Block] = {}
        self._seconds = [_Second() for _ in range(WINDOW_S + 1)]

    def learn(self, measured: Sequence[tuple[int, float]]) -> None:
        """Take sizes and seconds of batches that ran alone."""
        self._took = dict(measured)
        self._blocks = {size: _Block() for size in self._took}
        self._fit()

    def _fit(self) -> None:
        """Lay a line through the known sizes, by least squares, not below zero.

        A large batch could be run as several small ones, so it is never thought to take longer than these. That, and
        not a line through small batches, is what they say of large ones.
        """
        count = len(self._took)
        if not count:
            return
        sizes = sorted(self._took)
        took_s = [min(-(-size // part) * self._took[part] for part in sizes if part <= size) for size in sizes]
        mean_size, mean_took = sum(sizes) / count, sum(took_s) / count
        spread = sum((size - mean_size) ** 2 for size in sizes)
        rising = sum((size - mean_size) * (took - mean_took) for size, took in zip(sizes, took_s, strict=True))
        self._per_chunk = max(0.0, rising / spread) if spread else mean_took / mean_size
        self._fixed = max(0.0, mean_took - self._per_chunk * mean_size)

    def expected(self, size: int) -> float:
        """Seconds of a batch on a machine that does nothing else."""
        return self._fixed + self._per_chunk * size

    def observe(self, now_s: float, size: int, took_s: float) -> None:
        """Record a batch of live streams with all the work around it; in blocks they correct what was learnt."""
        second = int(now_s)
        entry = self._seconds[second % len(self._seconds)]
        if entry.second != second:
            entry.second, entry.chunks, entry.took_s, entry.expected_s = second, 0, 0.0, 0.0
        entry.chunks += size
        entry.took_s += took_s
        entry.expected_s += self.expected(size)
        self._correct(size, took_s)

    def _correct(self, size: int, took_s: float) -> None:
        """Count a batch for the largest known size that it is not smaller than; quicker blocks become the truth."""
        known = max((one for one in self._blocks if one <= size), default=0)
        if not known:
            return
        block = self._blocks[known]
        block.batches += 1
        block.took_s += took_s
        if block.batches < BLOCK:
            return
        block.means_s = [*block.means_s, block.took_s / block.batches][-BLOCKS:]
        block.batches, block.took_s = 0, 0.0
        if len(block.means_s) == BLOCKS and max(block.means_s) < self._took[known]:
            self._took[known] = max(block.means_s)
            self._fit()

    def slowness(self, now_s: float) -> float:
        """By which factor batches took longer than expected in the last seconds; 1 when too few ran to say.

        Never below 1: by how much small batches are quicker than thought says nothing of the large ones of a full
        machine.
        """
        recent = [entry for entry in self._seconds if now_s - entry.second < WINDOW_S + 1]
        expected = sum(entry.expected_s for entry in recent)
        if sum(entry.chunks for entry in recent) < MIN_CHUNKS or not expected:
            return 1.0
        return max(1.0, sum(entry.took_s for entry in recent) / expected)

    def room(self, now_s: float) -> int | None:
        """Most live streams that this machine answers in time, at its present pace; None when it is not known."""
        if not self._fixed and not self._per_chunk:
            return None
        slow, length = self.slowness(now_s), self._chunk_seconds
        fixed, per_chunk = self._fixed * slow, max(self._per_chunk * slow, 1e-9)
        by_round = (length - fixed / MOST_ROUND_SHARE) / per_chunk
        full = fixed + per_chunk * self._max_batch
        by_work = MOST_BUSY_SHARE * length * self._max_batch / full  # in full batches, which cost least a chunk
        return max(0, int(min(by_round, by_work)))

    def chunks_within(self, seconds: float) -> int:
        """Size of the largest batch that is expected to take no longer than that; at least 1."""
        if not self._per_chunk:
            return self._max_batch
        return max(1, min(self._max_batch, int((seconds - self._fixed) / self._per_chunk)))


def measure_alone(engine: Engine, signal: NDArray[np.int16]) -> list[tuple[int, float]]:
    """Run batches of 1, 2, 4 ... rows of ``signal`` [B, chunk_samples] and say how many seconds each took.

    Each size runs five times, and the middle one of the last four counts: the first may compile or allocate, and other
    models that load at the same time disturb some.
    """
    found = []
    size = 1
    while size <= len(signal):
        batch = signal[:size], np.arange(size, dtype=np.int32), np.ones(size, np.bool_)
        times = []
        for _ in range(1 + RUNS):
            begin = perf_counter()
            engine.step(*batch)
            times.append(perf_counter() - begin)
        found.append((size, sorted(times[1:])[RUNS // 2]))
        size *= 2
    return found
