"""What recognition costs: processor time of the service's processes, wall time, size of what is loaded."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Cost:
    """Of some audio.

    Attributes:
        audio_s: its length.
        wall_s: time it took.
        cpu_s: processor seconds of the processes that did it; None when they are out of sight.
        mib: of the files it works with, 0 when unknown.
    """

    audio_s: float
    wall_s: float
    cpu_s: float | None
    mib: float = 0.0

    @property
    def cpu_per_hour(self) -> float | None:
        """Processor seconds per hour of audio."""
        return None if self.cpu_s is None or not self.audio_s else 3600.0 * self.cpu_s / self.audio_s

    @property
    def realtime_factor(self) -> float:
        """Wall time per audio time, with as many streams at once as the run had."""
        return self.wall_s / self.audio_s if self.audio_s else 0.0


class Clock:
    """Processor and wall time of a process and its descendants from now on."""

    def __init__(self, root: psutil.Process | None) -> None:
        self._root = root
        self._first = self._read()
        self._began = time.monotonic()

    def cost(self, audio_s: float, mib: float) -> Cost:
        """What was spent since this clock was made."""
        wall = time.monotonic() - self._began
        last = self._read()
        # A process that ended meanwhile took its own count with it; the service ends none while it works.
        spent = sum(cpu - self._first.get(pid, 0.0) for pid, cpu in last.items()) if last else None
        return Cost(audio_s, wall, spent, mib)

    def _read(self) -> dict[int, float]:
        found: dict[int, float] = {}
        if self._root is None:
            return found
        with contextlib.suppress(psutil.Error):
            for process in [self._root, *self._root.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    times = process.cpu_times()
                    found[process.pid] = times.user + times.system
        return found
