"""Who gets a slot, who is turned away, whose slot is taken back: the table of live streams. No audio, no engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from tritone_backend.counters import Counters, count
from tritone_backend.errors import Code, StreamError
from tritone_backend.headroom import Headroom
from tritone_backend.profiling.journal import Journal
from tritone_backend.slots import SlotTable
from tritone_backend.streams import PayloadT, Request, ResultT, Session, Stream

RETRY_AFTER_S = 2.0


@dataclass(frozen=True)
class Limits:
    """How much the loop takes on.

    Attributes:
        max_streams: streams alive at once.
        max_batch: streams in one network step.
        idle_timeout_s: a stream without requests for so long is dropped: its client has vanished.
        max_call_s: a stream older than that takes no more audio, only its END.
    """

    max_streams: int
    max_batch: int
    idle_timeout_s: float
    max_call_s: float = 14_400.0


class Admission(Generic[PayloadT, ResultT]):
    """Live streams and the rules of their coming and going. One slot beyond the table belongs to probes."""

    def __init__(
        self,
        open_session: Callable[[Mapping[str, Any]], Session[PayloadT, ResultT]],
        limits: Limits,
        chunk_seconds: float,
        counters: Counters,
        journal: Journal,
    ) -> None:
        """Start without streams; ``counters`` and ``journal`` hear of all that happens to one."""
        self.headroom = Headroom(chunk_seconds)
        self._open_session = open_session
        self._limits = limits
        self._counters = counters
        self._journal = journal
        self._table: SlotTable[Stream[PayloadT, ResultT]] = SlotTable(limits.max_streams)
        self._probe_slot = limits.max_streams
        self._by_key: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._table)

    def get(self, stream_id: int) -> Stream[PayloadT, ResultT] | None:
        """The live stream of that id, if any."""
        return self._table.get(stream_id)

    def admit(self, request: Request[PayloadT, ResultT], now: float) -> Stream[PayloadT, ResultT]:
        """Make a stream for a START request, without a slot yet. Raises StreamError to turn it away."""
        stream = Stream(request.stream_id, self._open_session(request.parameters), now, now, request.caller)
        if request.parameters.get("probe"):
            stream.slot = self._probe_slot
            return stream
        if request.stream_id in self._table:
            raise StreamError(
                Code.DUPLICATE_START,
                f"stream {request.stream_id} is live: start each call with a new random id",
            )
        self._check_share(request, now)
        if not self._table.free:
            self.reap(now)
        if not self._table.free:
            taken = self._table.capacity
            raise StreamError(
                Code.FULL,
                f"no free slot: {taken} of {taken} are taken; try again in {RETRY_AFTER_S:g} s or raise --max-streams",
                retry_after_s=RETRY_AFTER_S,
            )
        if len(self._table) and self.headroom.overloaded(now):
            raise StreamError(
                Code.FULL,
                f"this machine is late with the {len(self._table)} streams it has; try again in {RETRY_AFTER_S:g} s",
                retry_after_s=RETRY_AFTER_S,
                reason="overloaded",
            )
        return stream

    def _check_share(self, request: Request[PayloadT, ResultT], now: float) -> None:
        """Refuse a key that has all its streams open, unless some of them turn out to be forsaken."""
        caller = request.caller
        if caller is None or self._by_key[caller.name] < caller.max_streams:
            return
        self.reap(now)
        if self._by_key[caller.name] >= caller.max_streams:
            raise StreamError(
                Code.FULL,
                f"API key {caller.name} has all its {caller.max_streams} streams open; "
                f"try again in {RETRY_AFTER_S:g} s or ask for more",
                retry_after_s=RETRY_AFTER_S,
                reason="key-limit",
            )

    def install(self, stream: Stream[PayloadT, ResultT]) -> None:
        """Give an admitted stream its slot."""
        if stream.slot != self._probe_slot:
            stream.slot = self._table.add(stream.stream_id, stream)
            self._counters.admitted += 1
            if stream.caller:
                self._by_key[stream.caller.name] += 1

    def find(self, request: Request[PayloadT, ResultT]) -> Stream[PayloadT, ResultT]:
        """The live stream that a request without START belongs to. Raises StreamError when it has no right to it."""
        stream = self._table.get(request.stream_id)
        # A stream is its key's alone: to everybody else it does not exist.
        if stream is None or (request.caller and stream.caller and request.caller.name != stream.caller.name):
            raise StreamError(
                Code.UNKNOWN_STREAM,
                f"stream {request.stream_id} is not live: it was never started, has ended, or sent nothing for "
                f"{self._limits.idle_timeout_s:g} s; start a new one",
            )
        if stream.request is not None:
            raise StreamError(Code.OVERLAP, f"stream {request.stream_id} has a request in work: send one at a time")
        if request.arrived - stream.opened > self._limits.max_call_s and not request.end:
            raise StreamError(
                Code.TOO_LONG,
                f"stream {request.stream_id} has lasted {self._limits.max_call_s:g} s, which is the most: end it",
            )
        return stream

    def turned_away(self, stream_id: int, error: StreamError, now: float) -> None:
        """Count a rejected request: a refusal when it asked for a slot in vain, else a mistake of its client."""
        refused = error.code is Code.FULL
        count(self._counters.refused if refused else self._counters.rejected, error.reason)
        event = "refused" if refused else "rejected"
        self._journal.note(now, event, stream_id, error.reason, live=len(self._table), slots=self._table.capacity)

    def lost(self, stream_id: int, reason: str, now: float) -> None:
        """Drop a stream that an error of ours has ended."""
        self._counters.failed += 1
        self._journal.note(now, "failed", stream_id, reason)
        self.drop(stream_id)

    def drop(self, stream_id: int) -> None:
        """Free a stream's slot, if it has one."""
        stream = self._table.get(stream_id)
        if stream is not None:
            self._table.release(stream_id)
            if stream.caller:
                self._by_key[stream.caller.name] -= 1

    def reap(self, now: float) -> None:
        """Drop streams whose client went without a word: Triton tells the model nothing."""
        for stream_id, stream in self._table:
            silent_s = now - stream.last_seen
            if stream.request is None and silent_s > self._limits.idle_timeout_s:
                self.drop(stream_id)
                self._counters.reaped += 1
                self._journal.note(now, "reaped", stream_id, silent_s=silent_s)
