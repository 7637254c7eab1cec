"""Whether the machine keeps up, from how long chunks waited for their batch. Decides nothing by itself."""

from __future__ import annotations

WINDOW_S = 3
MIN_CHUNKS = 20
MAX_LATE_SHARE = 0.05


class Headroom:
    """Counts, per second, chunks that waited longer than they last; constant work per chunk."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline = deadline_s
        self._seconds = [0] * (WINDOW_S + 1)
        self._chunks = [0] * (WINDOW_S + 1)
        self._late = [0] * (WINDOW_S + 1)

    def observe(self, now_s: float, wait_s: float) -> None:
        """Record a chunk's wait."""
        second = int(now_s)
        bucket = second % len(self._seconds)
        if self._seconds[bucket] != second:
            self._seconds[bucket], self._chunks[bucket], self._late[bucket] = second, 0, 0
        self._chunks[bucket] += 1
        self._late[bucket] += wait_s > self._deadline

    def overloaded(self, now_s: float) -> bool:
        """Whether more than 5 % of the chunks of the last seconds were late."""
        recent = [i for i, second in enumerate(self._seconds) if now_s - second < WINDOW_S + 1]
        chunks = sum(self._chunks[i] for i in recent)
        return chunks >= MIN_CHUNKS and sum(self._late[i] for i in recent) > MAX_LATE_SHARE * chunks
