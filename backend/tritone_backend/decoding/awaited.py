"""What the search brings later: words of a closed or an open phrase, and answers that wait for them. No search here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from tritone_backend.decoding.words import DecodedPhrase, DecodedWord
from tritone_backend.streams import Later

ValueT = TypeVar("ValueT")
EventT = TypeVar("EventT")


class Awaited(Generic[ValueT]):
    """Something that the search has yet to bring; what stands in for it counts if it takes too long."""

    def __init__(self, stand_in: ValueT, stream_id: int | str = 0) -> None:
        self.value = stand_in
        self.stream_id = stream_id
        self.settled = False
        self._lock = threading.Lock()
        self._watcher: Callable[[], None] | None = None

    def settle(self, value: ValueT | None) -> bool:
        """Take the value, or None to stay with the stand-in, from any thread; False if it was settled before."""
        with self._lock:
            if self.settled:
                return False
            self.settled = True
            if value is not None:
                self.value = value
            watcher = self._watcher
        if watcher:
            watcher()
        return True

    def watch(self, watcher: Callable[[], None]) -> bool:
        """Have ``watcher`` called once when settled; False, and no call, when it is already."""
        with self._lock:
            if not self.settled:
                self._watcher = watcher
            return not self.settled


class Final(Awaited[DecodedPhrase]):
    """A closed phrase; greedy decoding's stands in."""


class Glance(Awaited[list[DecodedWord]]):
    """The complete words of the open phrase; those that were known before stand in."""


Part: TypeAlias = "EventT | tuple[Awaited[Any], Callable[[Any], EventT | None]]"
"""Of an answer: an event, or what is awaited and what makes its event of the value (None for no event)."""


class PendingEvents(Later[list[EventT]]):
    """The events of one answer, in order, some of which wait for the search."""

    def __init__(self, parts: list[Part[EventT]], give_up_later: Callable[[PendingEvents[EventT]], None]) -> None:
        """Take what the answer is made of.

        Args:
            parts: in the order of the answer.
            give_up_later: called when the answer has to wait: must see to it that :meth:`give_up` is called in the end.
        """
        self._parts = parts
        self._give_up_later = give_up_later
        self._awaited = [part[0] for part in parts if isinstance(part, tuple)]
        self._left = 1
        self._lock = threading.Lock()
        self._deliver: Callable[[list[EventT]], None] | None = None

    @property
    def has_final(self) -> bool:
        """Whether a closed phrase is awaited: worth more patience than the words of an open one."""
        return any(isinstance(one, Final) for one in self._awaited)

    @property
    def stream_id(self) -> int | str:
        """Of the stream whose answer this is; 0 when nothing is awaited."""
        return self._awaited[0].stream_id if self._awaited else 0

    def then(self, deliver: Callable[[list[EventT]], None]) -> None:
        """Hand over the events when all are there: at once on this thread, or later on another."""
        self._deliver = deliver
        for one in self._awaited:
            with self._lock:
                self._left += 1
            if not one.watch(self._one_less):
                self._one_less()
        if self._left > 1:
            self._give_up_later(self)
        self._one_less()

    def give_up(self) -> list[Awaited[Any]]:
        """Stay with the stand-ins for what is still missing; returns that."""
        return [one for one in self._awaited if one.settle(None)]

    def _one_less(self) -> None:
        with self._lock:
            self._left -= 1
            done = self._left == 0
        if done and self._deliver:
            self._deliver(self._events())

    def _events(self) -> list[EventT]:
        events: list[EventT] = []
        for part in self._parts:
            if isinstance(part, tuple):
                awaited, make = part
                made = make(awaited.value)
                if made is not None:
                    events.append(made)
            else:
                events.append(part)
        return events
