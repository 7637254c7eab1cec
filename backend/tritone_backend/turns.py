"""Whose chunk goes into the next batch: running calls first, what can wait after them. Knows nothing of engines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from tritone_backend.streams import PayloadT, Request, ResultT, Stream

StreamT = TypeVar("StreamT", bound=Stream[Any, Any])

RESERVED = 4
"""One place in so many belongs to those who can wait, however many calls run: they are slow, not starved."""


class Turns(Generic[StreamT]):
    """Streams with a chunk for the network, each at most once.

    The next chunk of a running call is due now. The first chunk of a new stream and the rest of a long request (a file,
    or the replay of a call that another server lost) can wait: they fill what running calls leave of a batch.
    """

    def __init__(self) -> None:
        self._due: deque[StreamT] = deque()
        self._patient: deque[StreamT] = deque()
        self._owed = 0.0  # places to those who can wait

    def __len__(self) -> int:
        return len(self._due) + len(self._patient)

    def add(self, stream: StreamT, *, due: bool) -> None:
        """Queue a stream behind those of its kind."""
        (self._due if due else self._patient).append(stream)

    def take(self, most: int, most_mixed: Callable[[], int], parts: int = 1) -> list[StreamT]:
        """Take the streams of the next batch; all have different slots.

        Args:
            most: size of a full batch.
            most_mixed: size that a batch with running calls may be filled up to, so that they do not wait for others.
            parts: so many batches can begin now: take a part of those who are here, the others will take theirs.
        """
        due, waiting = (-(-len(queue) // parts) for queue in (self._due, self._patient))
        patient = 0
        if self._patient:
            self._owed = min(self._owed, 1.0) + most / RESERVED
            patient = int(self._owed) if self._due else most
        batch = self._pop(self._due, min(due, most - min(patient, len(self._patient))), set())
        if self._patient:
            limit = most if not batch else min(most, max(most_mixed(), len(batch) + patient))
            those = self._pop(self._patient, min(waiting, limit - len(batch)), {stream.slot for stream in batch})
            self._owed = max(0.0, self._owed - len(those))
            batch += those
        return batch

    @staticmethod
    def _pop(queue: deque[StreamT], most: int, slots: set[int]) -> list[StreamT]:
        """The first ones, without those whose slot is taken: probes share one and go one after the other."""
        taken: list[StreamT] = []
        again: list[StreamT] = []
        while queue and len(taken) < most:
            stream = queue.popleft()
            if stream.slot in slots:
                again.append(stream)
            else:
                slots.add(stream.slot)
                taken.append(stream)
        queue.extendleft(reversed(again))
        return taken


def running_first(requests: Sequence[Request[PayloadT, ResultT]]) -> list[Request[PayloadT, ResultT]]:
    """Requests of streams that run already before those of streams that begin, else in their order."""
    beginning = {request.stream_id for request in requests if request.start}
    return sorted(requests, key=lambda request: request.stream_id in beginning)
