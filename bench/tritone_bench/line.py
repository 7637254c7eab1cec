"""One stream of a load: which chunk is next, when it is due, and whether the words that came back are right."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tritone_bench import kserve
from tritone_bench.calls import PERIOD_S, Call


def words_of(answers: Sequence[bytes]) -> list[str]:
    """The words of all finals in some answers' events."""
    words: list[str] = []
    for answer in answers:
        for event in json.loads(answer or b"[]"):
            if event["type"] == "final":
                words += event["text"].split()
    return words


class Script:
    """A call made ready to be sent: every chunk's request bytes, and how each right answer ends."""

    __slots__ = ("bodies", "call", "endings", "words")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.bodies = [kserve.chunk(audio) for audio in call.chunks]
        self.endings = [kserve.ending(events) for events in call.reference]
        self.words = words_of(call.reference)


class Transcript:
    """What a stream heard, compared with the reference as cheaply as possible.

    As long as answers equal the reference byte for byte nothing is parsed. From the first difference on, words
    are collected, because a final may come a chunk earlier or later without being wrong.
    """

    __slots__ = ("_script", "_words")

    def __init__(self, script: Script) -> None:
        self._script = script
        self._words: list[str] | None = None

    @property
    def differs(self) -> bool:
        """Whether any answer was not the reference's, byte for byte."""
        return self._words is not None

    @property
    def words(self) -> list[str]:
        """Words heard so far; only kept when something differed."""
        return self._words or []

    def add(self, index: int, events: bytes) -> None:
        """Take the events of one chunk."""
        if self._words is None:
            if events == self._script.call.reference[index]:
                return
            self._words = words_of(self._script.call.reference[:index])
        self._words += words_of([events])

    def matches(self, answer: bytes, index: int) -> bool:
        """Whether a whole answer without other outputs is the reference's, without parsing it."""
        return self._words is None and answer.endswith(self._script.endings[index])

    def is_wrong(self, *, whole: bool) -> bool:
        """Whether the words are not the reference's, or its beginning when the call was broken off."""
        if self._words is None:
            return False
        expected = self._script.words
        return self._words != (expected if whole else expected[: len(self._words)])


class Line:
    """A stream that speaks one call after another. Times are ``time.monotonic()`` seconds."""

    __slots__ = (
        "asked_timing",
        "begins",
        "busy",
        "connection",
        "due",
        "ending",
        "hanging_up",
        "identity",
        "index",
        "length",
        "open",
        "script",
        "transcript",
    )

    def __init__(self, connection: int) -> None:
        self.connection = connection
        self.busy = False  # a request is under way
        self.open = False  # the service holds state for this call
        self.ending = False  # the request under way is the call's last
        self.hanging_up = False  # it ends the call early and carries no audio
        self.asked_timing = False
        self.due = 0.0  # of the chunk at `index`
        self.index = 0

    def begin(self, script: Script, identity: bytes, begins: float, length: int) -> None:
        """Take up a new call whose first sample exists at `begins` and that ends after `length` chunks."""
        self.script = script
        self.identity = identity
        self.begins = begins
        self.length = length
        self.transcript = Transcript(script)
        self.index = 0
        self.due = begins + PERIOD_S
        self.open = self.ending = self.hanging_up = False

    @property
    def broken_off(self) -> bool:
        """Whether the request under way ends the call before its end: its answer flushes half a phrase."""
        return self.ending and self.length < len(self.script.bodies)

    def advance(self) -> None:
        """Go to the next chunk; its time follows from the beginning of the call, so that lateness never adds up."""
        self.index += 1
        self.due = self.begins + (self.index + 1) * PERIOD_S

    def request(self, options: bytes, *, timing: bool) -> bytes:
        """The request for the current chunk."""
        self.ending = self.index == self.length - 1
        self.asked_timing = timing
        return b"".join(
            (
                self.script.bodies[self.index],
                self.identity,
                kserve.START + options if self.index == 0 else b"",
                kserve.END if self.ending else b"",
                kserve.EVENTS_AND_TIMING if timing else kserve.EVENTS_ONLY,
            )
        )

    def hang_up(self) -> bytes:
        """A request without audio that ends the call here."""
        self.ending = self.hanging_up = True
        self.asked_timing = False
        return kserve.chunk(b"") + self.identity + kserve.END + kserve.EVENTS_ONLY
