"""Where chunks spend their time: takes a row a chunk from the batch loop, fills histograms and the flight recorder."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tritone_backend.profiling.histograms import Histograms
from tritone_backend.profiling.names import STAGES
from tritone_backend.profiling.recorder import BATCH, CHUNK, FlightRecorder, write_dump
from tritone_backend.profiling.stagetimes import StageTimes

FLUSH_CHUNKS = 256
DUMP_INTERVAL_S = 60.0
_WIDTH = 3 + len(STAGES)


@dataclass(frozen=True)
class DumpTo:
    """Where flight recorder dumps go, and who is told.

    Attributes:
        folder: of the files.
        model: the Triton model, part of their names.
        say: takes one log line; called on the dump's thread.
        asked: whether an operator asked for a dump since the last call.
    """

    folder: Path
    model: str
    say: Callable[[str], None]
    asked: Callable[[], bool] = field(default=lambda: False)


class Profile:
    """Collects rows in lists, which is cheap, and turns many of them into arrays at once, which is cheap as well.

    All methods are for the loop's thread.

    Attributes:
        histograms: the chunk's whole way, then one a stage, in the order of ``STAGES``.
    """

    def __init__(self, slots: int, chunk_seconds: float, dump_to: DumpTo | None = None) -> None:
        """Args are the service's slots, a chunk's length in seconds, and where dumps go; without it there are none."""
        self.histograms = Histograms(1 + len(STAGES))
        self._recorder = FlightRecorder(slots, chunk_seconds)
        self._dump_to = dump_to
        self._batches: list[tuple[float, float, float, int, int, int]] = []
        self._chunks: list[float] = []  # rows of _WIDTH numbers, end to end: that converts fastest
        self._streams: list[int] = []
        self._batch = 0.0
        self._late = False
        self._next_dump = 0.0
        self._dumping: threading.Thread | None = None

    def chunk(self, stream_id: int | str, since: float, ended: float, stages: StageTimes) -> None:
        """A chunk is answered.

        Args:
            stream_id: whose.
            since: perf_counter when it could first have been worked on.
            ended: perf_counter when it was answered.
            stages: its times; read at once.
        """
        self._streams.append(stream_id if isinstance(stream_id, int) else zlib.crc32(stream_id.encode()))
        self._chunks += (ended, self._batch, (ended - since) * 1e6, *stages)

    def batch(self, began: float, ended: float, size: int, waiting: int, live: int) -> None:
        """The batch of the chunks since the last call is done.

        Args:
            began: perf_counter when its chunks were taken.
            ended: perf_counter when its last answer went.
            size: streams in it.
            waiting: streams that were ready and are not in it.
            live: streams alive.
        """
        self._batches.append((began, self._batch, (ended - began) * 1e6, size, waiting, live))
        self._batch = (self._batch + 1) % 2**32
        if len(self._streams) >= FLUSH_CHUNKS:
            self.flush()

    def late(self) -> None:
        """A chunk was late: dump the recorder at the next tick, unless one was dumped within a minute."""
        self._late = True

    def flush(self) -> None:
        """Bring histograms and recorder up to date."""
        if self._batches:
            self._recorder.batches.extend(np.array(self._batches, BATCH))
            self._batches = []
        if not self._streams:
            return
        table = np.array(self._chunks).reshape(-1, _WIDTH)
        self.histograms.add(table[:, 2:])
        rows = np.empty(len(table), CHUNK)
        rows["at"], rows["batch"], rows["latency"], rows["stages"] = table[:, 0], table[:, 1], table[:, 2], table[:, 3:]
        rows["stream"] = self._streams
        self._recorder.chunks.extend(rows)
        self._chunks, self._streams = [], []

    def tick(self, now: float) -> None:
        """Flush, and dump if it is time; called about twice a second."""
        self.flush()
        if self._dump_to is None:
            return
        if self._dump_to.asked():
            self._dump(self._dump_to, "asked", now)
        elif self._late and now >= self._next_dump:
            self._next_dump = now + DUMP_INTERVAL_S
            self._dump(self._dump_to, "late", now)
        self._late = False

    def close(self) -> None:
        """Wait until a dump that is being written is complete."""
        if self._dumping is not None:
            self._dumping.join()

    def _dump(self, to: DumpTo, reason: str, now: float) -> None:
        if self._dumping is not None and self._dumping.is_alive():
            return
        batches, chunks = self._recorder.snapshot(now)

        def write() -> None:
            try:
                path = write_dump(to.folder, to.model, reason, now, batches, chunks)
            except OSError as error:
                to.say(f"tritone: event=flight-record-failed reason={reason} error={error.strerror or error!r:.100}")
            else:
                to.say(f"tritone: event=flight-record reason={reason} chunks={len(chunks)} file={path}")

        self._dumping = threading.Thread(target=write, name="flight-record", daemon=True)
        self._dumping.start()
