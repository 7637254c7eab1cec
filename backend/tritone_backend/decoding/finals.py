"""Results that come later: a phrase's final words, and an answer that waits for some of them. No search here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from tritone_backend.decoding.words import DecodedPhrase
from tritone_backend.streams import Later

EventT = TypeVar("EventT")


class Final:
    """A closed phrase whose words the search has yet to bring; greedy decoding's stand in if it takes too long."""

    def __init__(self, greedy: DecodedPhrase, stream_id: int | str = 0) -> None:
        self.phrase = greedy
        self.stream_id = stream_id
        self.settled = False
        self._lock = threading.Lock()
        self._watcher: Callable[[], None] | None = None

    def settle(self, phrase: DecodedPhrase | None) -> bool:
        """Take the phrase, or None to stay with greedy's, from any thread; False if it was settled before."""
        with self._lock:
            if self.settled:
                return False
            self.settled = True
            if phrase is not None:
                self.phrase = phrase
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


class PendingEvents(Later[list[EventT]]):
    """The events of one answer, in order, some of which wait for a `Final`."""

    def __init__(
        self,
        parts: list[EventT | tuple[Final, Callable[[DecodedPhrase], EventT | None]]],
        give_up_later: Callable[[PendingEvents[EventT]], None],
    ) -> None:
        """Take events, or a final and what makes its event (None for no event).

        Args:
            parts: in the order of the answer.
            give_up_later: called when the answer has to wait: must see to it that :meth:`give_up` is called in the end.
        """
        self._parts = parts
        self._give_up_later = give_up_later
        self._finals = [part[0] for part in parts if isinstance(part, tuple)]
        self._left = 1
        self._lock = threading.Lock()
        self._deliver: Callable[[list[EventT]], None] | None = None

    @property
    def stream_id(self) -> int | str:
        """Of the stream whose answer this is; 0 when no final is awaited."""
        return self._finals[0].stream_id if self._finals else 0

    def then(self, deliver: Callable[[list[EventT]], None]) -> None:
        """Hand over the events when all are there: at once on this thread, or later on another."""
        self._deliver = deliver
        for final in self._finals:
            with self._lock:
                self._left += 1
            if not final.watch(self._one_less):
                self._one_less()
        if self._left > 1:
            self._give_up_later(self)
        self._one_less()

    def give_up(self) -> int:
        """Stay with greedy decoding for what is still missing; returns how many phrases that were."""
        return sum(final.settle(None) for final in self._finals)

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
                final, make = part
                made = make(final.phrase)
                if made is not None:
                    events.append(made)
            else:
                events.append(part)
        return events
