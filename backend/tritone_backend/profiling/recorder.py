"""The flight recorder: the last seconds of batches and chunks in bounded memory, and the file they are dumped to.

It holds times, sizes and stream ids; never audio or text. When to dump is decided in `profile`.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_backend.profiling.names import STAGES, TIMING_UNIT

KEPT_S = 10.0
KEPT_FILES = 10
MIN_ROWS, MAX_ROWS = 4096, 1 << 18
PAUSE_ROWS, PAUSE_S = 500, 0.005

CHUNK = np.dtype([("at", "f8"), ("stream", "u8"), ("batch", "u4"), ("latency", "f4"), ("stages", "f4", (len(STAGES),))])
"""A chunk: when it was answered (perf_counter), whose it was, its batch's number, microseconds."""
BATCH = np.dtype([("at", "f8"), ("batch", "u4"), ("took", "f4"), ("size", "u2"), ("waiting", "u4"), ("live", "u4")])
"""A batch: when it began, its number, microseconds until its last answer, streams in it, left waiting and alive."""

Rows = NDArray[np.void]


class Ring:
    """The newest ``size`` rows of a structured dtype."""

    def __init__(self, dtype: np.dtype[np.void], size: int) -> None:
        self._rows: Rows = np.zeros(size, dtype)
        self._written = 0

    def extend(self, rows: Rows) -> None:
        """Append rows, overwriting the oldest."""
        size = len(self._rows)
        rows = rows[-size:]
        begin = self._written % size
        fits = min(len(rows), size - begin)
        self._rows[begin : begin + fits] = rows[:fits]
        self._rows[: len(rows) - fits] = rows[fits:]
        self._written += len(rows)

    def since(self, at: float) -> Rows:
        """A copy of the rows with ``at`` not before this, oldest first."""
        size = len(self._rows)
        begin = self._written % size
        kept = np.concatenate([self._rows[begin:], self._rows[:begin]]) if self._written > size else self._rows[:begin]
        kept = kept if self._written != size else self._rows
        return kept[kept["at"] >= at].copy()


class FlightRecorder:
    """Rings of batches and chunks sized for ten seconds of a full service."""

    def __init__(self, slots: int, chunk_seconds: float) -> None:
        """Allocate for ``slots`` live streams that send a chunk every ``chunk_seconds``."""
        rows = int(min(MAX_ROWS, max(MIN_ROWS, slots * KEPT_S / chunk_seconds * 1.25)))
        self.chunks = Ring(CHUNK, rows)
        self.batches = Ring(BATCH, rows)  # at worst every chunk is a batch of its own

    def snapshot(self, now: float) -> tuple[Rows, Rows]:
        """Copies of the last seconds' batches and chunks; ``now`` is of ``time.perf_counter``."""
        return self.batches.since(now - KEPT_S), self.chunks.since(now - KEPT_S)


def write_dump(folder: Path, model: str, reason: str, now: float, batches: Rows, chunks: Rows) -> Path:
    """Write a snapshot as JSON lines: a head, then batches and chunks in order of time. For a thread of its own.

    Args:
        folder: where; the newest ten dumps of a model are kept there.
        model: the Triton model.
        reason: what asked for it.
        now: ``time.perf_counter`` of the snapshot.
        batches: the snapshot's batches.
        chunks: the snapshot's chunks.

    Returns:
        The file.

    Raises:
        OSError: it could not be written; nothing is left of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    epoch = time.time() - time.perf_counter()
    stamp = datetime.fromtimestamp(epoch + now, timezone.utc)
    path = folder / f"flight-{model}-{stamp:%Y%m%dT%H%M%S.%fZ}.jsonl"
    head = {
        "kind": "head",
        "model": model,
        "reason": reason,
        "time": stamp.isoformat(),
        "unit": TIMING_UNIT,
        "batches": len(batches),
        "chunks": len(chunks),
    }
    part = path.with_suffix(".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(json.dumps(head) + "\n")
            for number, record in enumerate(_records(batches, chunks, epoch), 1):
                file.write(json.dumps(record) + "\n")
                if number % PAUSE_ROWS == 0:
                    time.sleep(PAUSE_S)  # the service was late just now: it comes first
        part.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    for old in sorted(folder.glob(f"flight-{model}-*.jsonl"))[:-KEPT_FILES]:
        old.unlink(missing_ok=True)
    return path


def _records(batches: Rows, chunks: Rows, epoch: float) -> Iterator[Mapping[str, Any]]:
    """Both kinds merged by time; a time is in seconds since 1970."""
    at = np.concatenate([batches["at"], chunks["at"]])
    for index in np.argsort(at, kind="stable").tolist():
        if index < len(batches):
            row = batches[index]
            names = ("batch", "took", "size", "waiting", "live")
            values: dict[str, Any] = {name: round(row[name].item(), 1) for name in names}
            kind = "batch"
        else:
            row = chunks[index - len(batches)]
            values = {
                "stream": int(row["stream"]),
                "batch": int(row["batch"]),
                "latency": round(float(row["latency"]), 1),
            }
            values |= {
                name: round(float(us), 1) for name, us in zip(STAGES, row["stages"], strict=True) if not np.isnan(us)
            }
            kind = "chunk"
        yield {"kind": kind, "time": round(epoch + float(row["at"]), 6), **values}
