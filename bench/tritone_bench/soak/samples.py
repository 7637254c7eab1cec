"""What the service's processes hold, every few seconds of a run: memory, files, threads, shared memory, counters."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tritone_bench.usage import DEGRADED, ENGINE_PROCESS, MODEL_PROCESS, UsageMeter, in_haste

SHM = "/dev/shm/"  # noqa: S108 - read, never written
SERVER = "tritonserver"
SUPERVISOR = "supervisor"
COUNTERS = {
    "live": "tritone_streams_live",
    "free": "tritone_streams_free",
    "slots": "tritone_streams_slots",
    "admitted": "tritone_admitted_total",
    "refused": "tritone_refused_total",
    "reaped": "tritone_reaped_total",
    "failed": "tritone_failed_total",
    "failed batches": "tritone_failed_batches_total",
    "late": "tritone_late_total",
    "degraded": DEGRADED,
    "restarts": "tritone_restarts_total",
}
"""Series by their short names; those that are missing in a service's metrics are missing in the samples."""


@dataclass
class Samples:
    """Samples of one run.

    Attributes:
        rows: each by series name: `second` since the first, `MiB KIND`, `files KIND`, `threads KIND` for every kind of
            process, `shared MiB` of the whole service in /dev/shm, `COUNTERS`, and `in haste`: of the
            degraded finals those for want of time.
        first, last: process ids of the first sample and the last, but for helpers of unknown kind, which come and go.
        shared_files: files in /dev/shm that any process of the service had mapped at any time.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    first: set[int] = field(default_factory=set)
    last: set[int] = field(default_factory=set)
    shared_files: set[str] = field(default_factory=set)

    def series(self, name: str, since_s: float = 0.0, until_s: float = float("inf")) -> list[tuple[float, float]]:
        """(second, value) of one series between two seconds."""
        return [(row["second"], row[name]) for row in self.rows if name in row and since_s <= row["second"] <= until_s]

    def growth(self, name: str, until_s: float) -> float:
        """By how much a counter rose from the first sample to the last one before a second."""
        values = [value for _, value in self.series(name, 0.0, until_s)] or [0.0]
        return values[-1] - values[0]

    @property
    def names(self) -> list[str]:
        """All series, in the order of their appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row if name != "second"))


def kind_of(process: psutil.Process, root: psutil.Process) -> str:
    """What a process of the service is: supervisor, tritonserver, the model that a stub runs, engine, or other.

    Raises:
        psutil.Error: it is gone.
    """
    name, words = process.name(), process.cmdline()
    if name and MODEL_PROCESS.startswith(name[:15]):
        model = next((Path(word) for word in words if word.endswith("/model.py")), None)
        return model.parent.parent.name if model else "stub"
    if ENGINE_PROCESS in words:
        return "engine"
    if name == SERVER:
        return SERVER
    return SUPERVISOR if process.pid == root.pid else "other"


def shared_memory(processes: Sequence[psutil.Process]) -> dict[str, int]:
    """Files of /dev/shm that processes have mapped, and the bytes that each really takes.

    A deleted file that is still mapped counts with the size of its mapping, which is no less.
    """
    found: dict[str, int] = {}
    for process in processes:
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8", errors="replace").splitlines():
                place = line.find(SHM)
                if place < 0 or line[place:] in found:
                    continue
                path = line[place:]
                try:
                    found[path] = Path(path).stat().st_blocks * 512
                except OSError:
                    begin, _, end = line.split(maxsplit=1)[0].partition("-")
                    found[path] = int(end, 16) - int(begin, 16)
    return found


def left_behind(paths: set[str]) -> list[str]:
    """Those files of a service that has ended that are still there."""
    return sorted(path for path in paths if Path(path).exists())


class Sampler:
    """Takes samples in a thread of its own as long as the block lasts.

    Args:
        root: the service's process; None when it is out of sight, then only counters are sampled.
        metrics_url: its Prometheus metrics.
        every_s: seconds between samples.
    """

    def __init__(self, root: psutil.Process | None, metrics_url: str, every_s: float) -> None:
        self._root = root
        self._meter = UsageMeter(None, metrics_url)
        self._every_s = every_s
        self._begun = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="samples", daemon=True)
        self.samples = Samples()

    def __enter__(self) -> Sampler:
        self._begun = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def second(self) -> float:
        """Seconds since sampling began."""
        return time.monotonic() - self._begun

    def counters(self) -> dict[str, float]:
        """The service's counters now, by their short names."""
        found = self._meter.counters()
        named = {short: found[name] for short, name in COUNTERS.items() if name in found}
        return named | ({"in haste": in_haste(found)} if found else {})

    def _watch(self) -> None:
        due = self._begun
        while True:
            self._take()
            due = max(due + self._every_s, time.monotonic() - self._every_s)  # after a pause no volley of samples
            if self._done.wait(max(0.0, due - time.monotonic())):
                return

    def _take(self) -> None:
        row = {"second": round(self.second, 2), **self.counters()}
        processes: list[psutil.Process] = []
        if self._root is not None:
            with contextlib.suppress(psutil.Error):
                processes = [self._root, *self._root.children(recursive=True)]
        seen: set[int] = set()
        for process in processes:
            with contextlib.suppress(psutil.Error):
                kind = kind_of(process, processes[0])
                if kind != "other":
                    seen.add(process.pid)
                held = {
                    f"MiB {kind}": process.memory_info().rss / 2**20,
                    f"files {kind}": float(process.num_fds()),
                    f"threads {kind}": float(process.num_threads()),
                }
                for name, value in held.items():
                    row[name] = row.get(name, 0.0) + value
        if processes:
            shared = shared_memory(processes)
            self.samples.shared_files |= {path for path in shared if not path.endswith("(deleted)")}
            row["shared MiB"] = sum(shared.values()) / 2**20
            self.samples.last = seen
            self.samples.first = self.samples.first or seen
        self.samples.rows.append(row)
