"""Who gets a slot, who is turned away, whose slot is taken back: the table of live streams. No audio, no engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic

from tritone_backend.counters import Counters, count
from tritone_backend.errors import Code, StreamError
from tritone_backend.gate import ADMIN_KEY, DRAIN, RETRY_AFTER_S, Gate
from tritone_backend.limits import Limits
from tritone_backend.profiling.journal import Journal
from tritone_backend.profiling.names import BATCH_WAIT, NETWORK
from tritone_backend.slots import SlotTable
from tritone_backend.streams import PayloadT, Request, ResultT, Session, Stream

__all__ = ["Admission", "Limits"]


class Admission(Generic[PayloadT, ResultT]):
    """Live streams and the rules of their coming and going. One slot beyond the table belongs to probes."""

    def __init__(
        self,
        open_session: Callable[[Mapping[str, Any], int | str], Session[PayloadT, ResultT]],
        limits: Limits,
        gate: Gate,
        counters: Counters,
        journal: Journal,
    ) -> None:
        """Start without streams; ``counters`` and ``journal`` hear of all that happens to one."""
        self._gate = gate
        self._closed_for = ""
        self._open_session = open_session
        self._limits = limits
        self._counters = counters
        self._journal = journal
        self._table: SlotTable[Stream[PayloadT, ResultT]] = SlotTable(limits.max_streams)
        self.probe_slot = limits.max_streams
        self._by_key: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._table)

    def get(self, stream_id: int) -> Stream[PayloadT, ResultT] | None:
        """The live stream of that id, if any."""
        return self._table.get(stream_id)

    def admit(self, request: Request[PayloadT, ResultT], now: float) -> Stream[PayloadT, ResultT]:
        """Make a stream for a START request, without a slot yet. Raises StreamError to turn it away."""
        if DRAIN in request.parameters:
            self._control(request, now)
        options = {name: value for name, value in request.parameters.items() if name not in (DRAIN, ADMIN_KEY)}
        stream = Stream(request.stream_id, self._open_session(options, request.stream_id), now, now, request.caller)
        if request.stream_id in self._table:
            raise StreamError(
                Code.DUPLICATE_START,
                f"stream {request.stream_id} is live: start each call with a new random id",
            )
        if not self._table.free:
            self.reap(now)
        refusal = self._gate.refusal(len(self._table), now)
        if refusal is not None:
            if DRAIN in request.parameters:
                refusal.reason = ""  # it is an answer, nobody was turned away
            raise refusal
        if request.parameters.get("probe"):
            if not request.end:
                raise StreamError(Code.BAD_OPTION, "a probe is one request: START and END together")
            stream.slot = self.probe_slot
            return stream
        self._check_share(request, now)
        return stream

    def _control(self, request: Request[PayloadT, ResultT], now: float) -> None:
        """Begin, end or take back a drain; the same request then meets the gate as it is."""
        before = self._gate.board.door
        event = self._gate.control(request.parameters)
        if before is not self._gate.board.door:
            self._journal.note(now, event, 0, live=self._gate.board.live)
        self.reap(now)

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
        if stream.slot != self.probe_slot:
            stream.slot = self._table.add(stream.stream_id, stream)
            self._counters.admitted += 1
            self._gate.board.publish(len(self._table))
            if stream.caller:
                self._by_key[stream.caller.name] += 1

    def find(self, request: Request[PayloadT, ResultT]) -> Stream[PayloadT, ResultT]:
        """The live stream that a request without START belongs to. Raises StreamError when it has no right to it."""
        stream = self._table.get(request.stream_id)
        if self._gate.ending and not request.end:  # those whose last request is on its way may still end well
            if stream is not None and stream.request is None:
                self._end_for_drain(request.stream_id, now=request.arrived)
            raise StreamError(
                Code.DRAINING,
                "this server is being stopped and ended its streams: go on with another server",
                retry_after_s=RETRY_AFTER_S,
                live=self._gate.board.live,
            )
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
        if not error.reason:
            return
        refused = error.code in (Code.FULL, Code.DRAINING)
        count(self._counters.refused if refused else self._counters.rejected, error.reason)
        event = "refused" if refused else "rejected"
        self._journal.note(now, event, stream_id, error.reason, live=len(self._table), slots=self._table.capacity)

    def lost(self, stream_id: int, reason: str, now: float, detail: str = "") -> None:
        """Drop a stream that an error of ours has ended."""
        self._counters.failed += 1
        self._journal.note(now, "failed", stream_id, reason, detail=detail)
        self.drop(stream_id)

    def chunk_was_late(self, now: float, stream: Stream[PayloadT, ResultT], latency_s: float) -> None:
        """Count and say that an answer took longer than its chunk lasts."""
        self._counters.late += 1
        waited, network = stream.stages[BATCH_WAIT] / 1e3, stream.stages[NETWORK] / 1e3
        times = {"latency_ms": latency_s * 1e3, "batch_wait_ms": waited, "network_ms": network}
        self._journal.note(now, "late", stream.stream_id, "", detail="", live=len(self._table), **times)

    def batch_was_late(self, now: float, batch: Sequence[Stream[PayloadT, ResultT]], took_s: float) -> None:
        """Count and say that a network step took longer than a chunk lasts."""
        self._counters.late_batches += 1
        first, live = batch[0].stream_id, len(self._table)
        self._journal.note(now, "late-batch", first, took_ms=took_s * 1e3, streams=len(batch), live=live)

    def drop(self, stream_id: int) -> None:
        """Free a stream's slot, if it has one."""
        stream = self._table.get(stream_id)
        if stream is not None:
            self._table.release(stream_id)
            self._gate.board.publish(len(self._table))
            if stream.caller:
                self._by_key[stream.caller.name] -= 1

    def reap(self, now: float) -> None:
        """Drop streams whose client went without a word: Triton tells the model nothing. A drain may end all."""
        for stream_id, stream in self._table:
            silent_s = now - stream.last_seen
            if stream.request is not None:
                continue
            if silent_s > self._limits.idle_timeout_s:
                self.drop(stream_id)
                self._counters.reaped += 1
                self._journal.note(now, "reaped", stream_id, silent_s=silent_s)
            elif self._gate.ending:
                self._end_for_drain(stream_id, now)

    def _end_for_drain(self, stream_id: int, now: float) -> None:
        self.drop(stream_id)
        self._counters.drained += 1
        self._journal.note(now, "drained", stream_id)

    def publish(self, now: float) -> None:
        """Bring the gauges up to date, and say when new streams begin or cease to be admitted."""
        live = len(self._table)
        refusal = self._gate.refusal(live, now)
        closed_for = refusal.reason if refusal else ""
        if closed_for != self._closed_for:
            self._journal.note(now, "not-ready" if closed_for else "ready", 0, closed_for, live=live)
            self._closed_for = closed_for
        self._counters.live = live
        self._counters.ready = refusal is None
        self._counters.draining = self._gate.draining
