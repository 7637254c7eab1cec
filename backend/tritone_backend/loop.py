"""The batch loop: the whole life of a stream, from admission to its last answer. Knows neither Triton nor text."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from tritone_backend.counters import Counters
from tritone_backend.engines import Engine
from tritone_backend.errors import Code, StreamError
from tritone_backend.headroom import Headroom
from tritone_backend.slots import SlotTable
from tritone_backend.streams import PayloadT, Request, ResultT, Session, Stages, Stream

TICK_S = 0.5
RETRY_AFTER_S = 2.0


@dataclass(frozen=True)
class Limits:
    """How much the loop takes on.

    Attributes:
        max_streams: streams alive at once.
        max_batch: streams in one network step.
        idle_timeout_s: a stream without requests for so long is dropped: its client has vanished.
    """

    max_streams: int
    max_batch: int
    idle_timeout_s: float


class StreamLoop(Generic[PayloadT, ResultT]):
    """Takes requests of many streams and runs them through one engine in batches, on a thread of its own.

    Every round takes at most one chunk of each stream that has one, in the order they became ready, so that a
    long request delays nobody. Requests that arrive while a batch runs form the next one.
    """

    def __init__(
        self,
        engine: Engine,
        open_session: Callable[[Mapping[str, Any]], Session[PayloadT, ResultT]],
        digest: Callable[[Sequence[Session[PayloadT, ResultT]], NDArray[np.float32]], None],
        limits: Limits,
        on_tick: Callable[[Counters], None] = lambda counters: None,
    ) -> None:
        """Allocate the engine's slots, one more than streams: the last one belongs to probes.

        Args:
            engine: no other thread may use it.
            open_session: makes a stream's session from its START parameters; raises StreamError to refuse them.
            digest: hands a batch of log-probs, float32 [B, frames, classes], to the sessions it belongs to.
            limits: how much to take on.
            on_tick: called about twice a second on the loop's thread with the counters.
        """
        engine.allocate(limits.max_streams + 1)
        self.counters = Counters(slots=limits.max_streams)
        self._engine = engine
        self._open_session = open_session
        self._digest = digest
        self._limits = limits
        self._on_tick = on_tick
        self._table: SlotTable[Stream[PayloadT, ResultT]] = SlotTable(limits.max_streams)
        self._probe_slot = limits.max_streams
        self._headroom = Headroom(engine.spec.chunk_seconds)
        self._inbox: deque[Request[PayloadT, ResultT]] = deque()
        self._ready: deque[Stream[PayloadT, ResultT]] = deque()
        self._signal = np.zeros((limits.max_batch, engine.spec.chunk_samples), np.int16)
        self._wake = threading.Condition()
        self._stopping = False
        self._next_tick = 0.0
        self._thread = threading.Thread(target=self._run, name="stream-loop", daemon=True)

    def start(self) -> None:
        """Begin to work. Warms the engine up first, so that the first caller does not pay for it."""
        size = 1
        while size <= min(self._limits.max_batch, self._limits.max_streams):
            self._engine.step(self._signal[:size], np.arange(size, dtype=np.int32), np.ones(size, np.bool_))
            size *= 2
        self._thread.start()

    def submit(self, request: Request[PayloadT, ResultT]) -> None:
        """Queue a request from any thread. It is answered through its ``reply``."""
        with self._wake:
            self._inbox.append(request)
            self._wake.notify()

    def stop(self) -> None:
        """Finish what is queued, then end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                if not self._inbox and not self._ready:
                    if self._stopping:
                        return
                    self._wake.wait(TICK_S)
                arrived, self._inbox = self._inbox, deque()
            for request in arrived:
                self._accept(request)
            if self._ready:
                self._step()
            now = perf_counter()
            if now >= self._next_tick:
                self._next_tick = now + TICK_S
                self._tick(now)

    def _accept(self, request: Request[PayloadT, ResultT]) -> None:
        """Admit or find the stream and hand it the payload; a bad request is answered here and has no effect."""
        now = perf_counter()
        stages = Stages({"queue": (now - request.arrived) * 1e6})
        try:
            stream = self._admit(request, now) if request.start else self._find(request)
            stream.session.feed(request.payload)
            if request.end:
                stream.session.finish_audio()
        except StreamError as error:
            if error.code in (Code.FULL, Code.DRAINING):
                self.counters.refused += 1
            else:
                self.counters.rejected += 1
            request.reply(error, stages)
            return
        except Exception as error:  # a defect in a session must not stop everyone's loop
            self.counters.failed += 1
            self._drop(request.stream_id)
            request.reply(StreamError(Code.INTERNAL, f"the stream failed: {error!r:.200}"), stages)
            return
        if request.start:
            self._install(stream)
        stream.request = request
        stream.stages = stages
        stream.asked_at = request.arrived
        stream.last_seen = stream.ready_since = perf_counter()
        stages.values["unpack"] = (stream.ready_since - now) * 1e6
        if stream.session.pending_chunks:
            self._ready.append(stream)
        else:
            self._complete(stream)

    def _admit(self, request: Request[PayloadT, ResultT], now: float) -> Stream[PayloadT, ResultT]:
        """Make a stream for a START request, without a slot yet."""
        stream = Stream(request.stream_id, self._open_session(request.parameters), now)
        if request.parameters.get("probe"):
            stream.slot = self._probe_slot
            return stream
        if request.stream_id in self._table:
            raise StreamError(
                Code.DUPLICATE_START,
                f"stream {request.stream_id} is live: start each call with a new random id",
            )
        if not self._table.free:
            self._reap(now)
        if not self._table.free:
            taken = self._table.capacity
            raise StreamError(
                Code.FULL,
                f"no free slot: {taken} of {taken} are taken; try again in {RETRY_AFTER_S:g} s or raise --max-streams",
                retry_after_s=RETRY_AFTER_S,
            )
        if self._headroom.overloaded(now):
            raise StreamError(
                Code.FULL,
                f"this machine is late with the {len(self._table)} streams it has; try again in {RETRY_AFTER_S:g} s",
                retry_after_s=RETRY_AFTER_S,
            )
        return stream

    def _install(self, stream: Stream[PayloadT, ResultT]) -> None:
        """Give an admitted stream its slot."""
        if stream.slot != self._probe_slot:
            stream.slot = self._table.add(stream.stream_id, stream)
            self.counters.admitted += 1

    def _find(self, request: Request[PayloadT, ResultT]) -> Stream[PayloadT, ResultT]:
        stream = self._table.get(request.stream_id)
        if stream is None:
            raise StreamError(
                Code.UNKNOWN_STREAM,
                f"stream {request.stream_id} is not live: it was never started, has ended, or sent nothing for "
                f"{self._limits.idle_timeout_s:g} s; start a new one",
            )
        if stream.request is not None:
            raise StreamError(Code.OVERLAP, f"stream {request.stream_id} has a request in work: send one at a time")
        return stream

    def _step(self) -> None:
        """Run one batch: the next chunk of each of the streams that have waited longest."""
        batch = [self._ready.popleft() for _ in range(min(len(self._ready), self._limits.max_batch))]
        begin = perf_counter()
        signal = self._signal[: len(batch)]
        for row, stream in enumerate(batch):
            signal[row] = stream.session.take_chunk()
            stream.stages.values["batch_wait"] = (begin - stream.ready_since) * 1e6
            if stream.asked_at is not None:  # later chunks of a long request wait for their turn, not for us
                self.counters.late += self._headroom.observe(begin, begin - stream.asked_at)
                stream.asked_at = None
        slots = np.array([stream.slot for stream in batch], np.int32)
        fresh = np.array([stream.fresh for stream in batch], np.bool_)
        try:
            logprobs = self._engine.step(signal, slots, fresh)
            stepped = perf_counter()
            self._digest([stream.session for stream in batch], logprobs)
        except Exception as error:  # whatever it was, these streams' state is lost, and only theirs
            self.counters.failed_batches += 1
            for stream in batch:
                self._fail(
                    stream,
                    StreamError(Code.INTERNAL, f"a batch failed and its streams are lost: {error!r:.200}"),
                )
            return
        done = perf_counter()
        self.counters.batches += 1
        self.counters.chunks += len(batch)
        timing = self._engine.timing._asdict()
        for stream in batch:
            stream.fresh = False
            stream.stages.values.update(timing)
            stream.stages.values["decode"] = (done - stepped) * 1e6
            stream.ready_since = done
            if stream.session.pending_chunks:
                self._ready.append(stream)
            else:
                self._complete(stream)

    def _complete(self, stream: Stream[PayloadT, ResultT]) -> None:
        """Answer the stream's request; free its slot if that was the last one."""
        request = stream.request
        assert request is not None
        stream.request = None
        stream.last_seen = perf_counter()
        if request.end:
            stream.session.close()
            self._drop(stream.stream_id)
        request.reply(stream.session.take_result(), stream.stages)

    def _fail(self, stream: Stream[PayloadT, ResultT], error: StreamError) -> None:
        self.counters.failed += 1
        self._drop(stream.stream_id)
        if stream.request is not None:
            stream.request.reply(error, stream.stages)

    def _drop(self, stream_id: int) -> None:
        if stream_id in self._table:
            self._table.release(stream_id)

    def _reap(self, now: float) -> None:
        """Drop streams whose client went without a word: Triton tells the model nothing."""
        for stream_id, stream in self._table:
            if stream.request is None and now - stream.last_seen > self._limits.idle_timeout_s:
                self._table.release(stream_id)
                self.counters.reaped += 1

    def _tick(self, now: float) -> None:
        self._reap(now)
        self.counters.live = len(self._table)
        self._on_tick(self.counters)
