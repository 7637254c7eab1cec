"""Which stream owns which engine slot. Plain bookkeeping: no clock, no audio, no engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

StreamT = TypeVar("StreamT")


class SlotTable(Generic[StreamT]):
    """Streams by id, each in one of ``capacity`` slots.

    A freed slot is reused first: what was never used has no pages, so memory follows the peak of live streams.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._free = list(range(capacity - 1, -1, -1))
        self._streams: dict[int, tuple[int, StreamT]] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def __contains__(self, stream_id: int) -> bool:
        return stream_id in self._streams

    def __iter__(self) -> Iterator[tuple[int, StreamT]]:
        """Pairs of id and stream; a snapshot, so that streams may be released while iterating."""
        return iter([(stream_id, stream) for stream_id, (_, stream) in self._streams.items()])

    @property
    def free(self) -> int:
        """Slots that a new stream could take."""
        return self.capacity - len(self._streams)

    def next_slot(self) -> int:
        """The slot that the next :meth:`add` gives; IndexError when none is free."""
        return self._free[-1]

    def add(self, stream_id: int, stream: StreamT) -> int:
        """Give a stream a slot. The caller has checked that one is free and that the id is not live."""
        slot = self._free.pop()
        self._streams[stream_id] = (slot, stream)
        return slot

    def get(self, stream_id: int) -> StreamT | None:
        """The live stream of that id, if any."""
        entry = self._streams.get(stream_id)
        return entry[1] if entry else None

    def release(self, stream_id: int) -> None:
        """Free a live stream's slot."""
        slot, _ = self._streams.pop(stream_id)
        self._free.append(slot)
