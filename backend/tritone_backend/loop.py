"""The batch loop: rounds of requests, batches of chunks, answers. Knows neither Triton nor text."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from tritone_backend.admission import Admission, Limits
from tritone_backend.board import Board
from tritone_backend.counters import Counters
from tritone_backend.engines import Engine
from tritone_backend.errors import Code, StreamError
from tritone_backend.gate import Gate
from tritone_backend.lanes import Lanes, Step
from tritone_backend.pace import measure_alone
from tritone_backend.profiling.journal import Journal
from tritone_backend.profiling.names import BATCH_WAIT, COPY_IN, PACK, RESAMPLE, UNPACK
from tritone_backend.profiling.profile import Profile
from tritone_backend.profiling.spans import span
from tritone_backend.profiling.stagetimes import new_stage_times
from tritone_backend.streams import Later, PayloadT, Request, ResultT, Session, Stream
from tritone_backend.turns import Turns, running_first

TICK_S = 0.5
MOST_FAILED_BATCHES = 5
"""After so many in a row the engine is taken for broken: only a new process can help."""
MIXED_SHARE = 0.125
"""Share of a chunk that a batch with running calls may take when it is filled up with what could wait."""


LEAST_BATCH = 8
"""Streams that a lane may take at once however many lanes there are: fewer cost much more each."""


class StreamLoop(Generic[PayloadT, ResultT]):
    """Takes requests of many streams and runs them through one engine in batches, on a thread of its own.

    Every round takes at most one chunk of each stream that has one, running calls first (see `Turns`), so that a
    long request delays nobody. Requests that arrive while a batch runs form the next one.
    """

    def __init__(
        self,
        engine: Engine,
        open_session: Callable[[Mapping[str, Any], int | str], Session[PayloadT, ResultT]],
        digest: Callable[[Sequence[Session[PayloadT, ResultT]], NDArray[np.float32]], float],
        limits: Limits,
        profile: Profile | None = None,
        journal: Journal | None = None,
        on_tick: Callable[[Counters], None] = lambda counters: None,
        on_broken: Callable[[str], None] = lambda why: None,
        board: Board | None = None,
    ) -> None:
        """Allocate the engine's slots, more than streams: those behind them belong to probes, one in each lane.

        Args:
            engine: nobody else may use it.
            open_session: makes a stream's session from its START parameters and id; raises StreamError to refuse it.
            digest: hands a batch of log-probs, float32 [B, frames, classes], to the sessions it belongs to; returns
                the microseconds of its work that were endpointing, the others are decoding.
            limits: how much to take on.
            profile: takes the stage times of every chunk.
            journal: takes what happens to single streams.
            on_tick: called about twice a second on the loop's thread with the counters.
            on_broken: called with the reason when the engine fails every time; should end the process.
            board: shared with the server's other processes.
        """
        engine.allocate(limits.max_streams + len(engine.lanes))
        self.counters = Counters(slots=limits.max_streams)
        self._engine = engine
        self._digest = digest
        self._limits = limits
        self._profile = profile
        self._journal = journal or Journal(lambda line: None)
        self._on_tick = on_tick
        self._on_broken = on_broken
        self._failed_in_a_row = 0
        self._chunk_seconds = engine.spec.chunk_seconds
        self._gate = Gate(limits, self._chunk_seconds, board)
        self.pace = self._gate.pace
        self._streams = Admission(open_session, limits, self._gate, self.counters, self._journal)
        self._inbox: deque[tuple[Sequence[Request[PayloadT, ResultT]], Callable[[], None]]] = deque()
        self._unstepped: list[Callable[[], None]] = []
        self._done: deque[Step[PayloadT, ResultT]] = deque()
        self._under_way = 0
        self._most = min(limits.max_batch, max(LEAST_BATCH, -(-limits.max_batch // len(engine.lanes))))
        self._lanes: Lanes[PayloadT, ResultT] = Lanes(
            engine.lanes, self._most, engine.spec.chunk_samples, limits.max_streams, self._hear
        )
        self._unread: deque[tuple[int, StreamError]] = deque()
        self._ready: Turns[Stream[PayloadT, ResultT]] = Turns()
        self._wake = threading.Condition()
        self._stopping = False
        self._next_tick = 0.0
        self._thread = threading.Thread(target=self._run, name="stream-loop", daemon=True)

    def start(self) -> None:
        """Begin to work. Warms the engine up first, so that the first caller does not pay for it, and measures it."""
        rows = min(self._limits.max_batch, self._limits.max_streams)
        self.pace.learn(measure_alone(self._engine, np.zeros((rows, self._engine.spec.chunk_samples), np.int16)))
        self._thread.start()

    def submit(
        self, requests: Sequence[Request[PayloadT, ResultT]], stepped: Callable[[], None] = lambda: None
    ) -> None:
        """Queue requests from any thread. Each is answered through its ``reply``.

        Args:
            requests: at most one of each stream.
            stepped: called on the loop's thread after the first step that these requests could have been part of.
        """
        with self._wake:
            self._inbox.append((requests, stepped))
            self._wake.notify()

    def note_unread(self, stream_id: int, error: StreamError) -> None:
        """Count, from any thread, a request that was rejected before it could be submitted."""
        # Without its traceback, whose frames hold the request: megabytes that nobody needs until the next tick.
        self._unread.append((stream_id, error.with_traceback(None)))

    def stop(self) -> None:
        """Finish what is queued, then end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()
        self._lanes.stop()

    def _hear(self, step: Step[PayloadT, ResultT]) -> None:
        """A step is over; called on whatever thread ran it."""
        with self._wake:
            self._done.append(step)
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                if not (self._inbox or self._done or (self._ready and self._lanes.idle)):
                    if self._stopping and not self._under_way:
                        return
                    self._wake.wait(TICK_S)
                arrived, self._inbox = self._inbox, deque()
            begin = perf_counter()
            if arrived:
                with span("unpack"):
                    for request in running_first([request for requests, _ in arrived for request in requests]):
                        self._accept(request)
                self._unstepped += [stepped for _, stepped in arrived]
            for idle in range(self._lanes.idle, 0, -1):  # they first, so that they work while answers are made
                if self._ready:
                    self._begin(idle)
            while self._done:
                self._finish(self._done.popleft())
            if not self._ready:
                self._tell_stepped(self._unstepped)
            now = perf_counter()
            if not self._lanes.beside:
                self.counters.busy_s += now - begin
            if now >= self._next_tick:
                self._next_tick = now + TICK_S
                try:
                    self._tick(now)
                except Exception as error:  # a full disk or a defect in a report must not stop everyone's loop
                    self._journal.note(now, "tick-failed", 0, detail=repr(error))

    def _accept(self, request: Request[PayloadT, ResultT]) -> None:
        """Admit or find the stream and hand it the payload; a bad request is answered here and has no effect."""
        now = perf_counter()
        stages = new_stage_times((now - request.arrived) * 1e6)
        try:
            stream = self._streams.admit(request, now) if request.start else self._streams.find(request)
            stream.session.feed(request.payload)
            if request.end:
                stream.session.finish_audio()
        except StreamError as error:
            self._streams.turned_away(request.stream_id, error, now)
            request.reply(error, stages)
            return
        except Exception as error:  # a defect in a session must not stop everyone's loop
            self._streams.lost(request.stream_id, type(error).__name__, now, repr(error))
            request.reply(StreamError(Code.INTERNAL, f"the stream failed: {error!r:.200}"), stages)
            return
        if request.start:
            self._streams.install(stream)
        stream.request = request
        stream.stages = stages
        stream.asked_at = request.arrived
        stream.last_seen = stream.ready_since = perf_counter()
        stages[UNPACK] = (stream.ready_since - now) * 1e6
        resampling = stream.session.resampling_us
        if resampling == resampling:  # not NaN
            stages[RESAMPLE] = resampling
            stages[UNPACK] -= resampling
        if stream.session.pending_chunks:
            self._ready.add(stream, due=not stream.fresh)
        else:
            self._complete(stream)

    def _begin(self, idle: int) -> None:
        """Start a batch, the next chunk of each of the streams whose turn it is, on one of so many idle lanes."""
        most_mixed = MIXED_SHARE * self._chunk_seconds
        batch = self._ready.take(self._most, lambda: self.pace.chunks_within(most_mixed) // len(self._lanes), idle)
        unstepped, self._unstepped = self._unstepped, []
        begin = perf_counter()
        for stream in batch:
            stream.stages[BATCH_WAIT] = (begin - stream.ready_since) * 1e6
            if stream.asked_at is not None:  # later chunks of a long request wait for their turn, not for us
                self._gate.headroom.observe(begin, begin - stream.asked_at)
        self._under_way += 1
        self._lanes.start(Step(batch, len(self._ready), unstepped, begin))

    def _finish(self, step: Step[PayloadT, ResultT]) -> None:
        """Decode and answer a batch that has been through the network."""
        self._under_way -= 1
        if self._lanes.beside:
            self.counters.busy_s += (step.ended - step.begun) / len(self._lanes)
        try:
            if step.error is not None:
                raise step.error
            assert step.logprobs is not None
            stepped = perf_counter()
            endpointing = self._digest([stream.session for stream in step.batch], step.logprobs)
        except Exception as error:  # whatever it was, these streams' state is lost, and only theirs
            self._fail_batch(step.batch, error)
        else:
            self._failed_in_a_row = 0
            self._answer(step, stepped, endpointing)
        self._tell_stepped(step.stepped)

    def _answer(self, step: Step[PayloadT, ResultT], stepped: float, endpointing: float) -> None:
        """Answer a decoded batch and record its times."""
        done = perf_counter()
        self.counters.batches += 1
        self.counters.chunks += len(step.batch)
        shared = (*step.stages(stepped), endpointing, (done - stepped) * 1e6 - endpointing)
        with span("pack"):
            ended = done
            for stream in step.batch:
                try:
                    ended = self._finish_chunk(stream, shared, done, ended)
                except Exception as error:  # noqa: PERF203 - a defect in one session is that stream's alone
                    self._fail(stream, StreamError(Code.INTERNAL, f"the stream failed: {error!r:.200}"), repr(error))
        self.pace.observe(done, len(step.batch) * len(self._lanes), ended - step.begun)
        if done - step.begun > self._chunk_seconds:
            self._streams.batch_was_late(done, step.batch, done - step.begun)
        if self._profile:
            self._profile.batch(step.begun, ended, len(step.batch), step.waiting, len(self._streams))

    @staticmethod
    def _tell_stepped(those: list[Callable[[], None]]) -> None:
        for stepped in those:
            stepped()
        those.clear()

    def _finish_chunk(
        self, stream: Stream[PayloadT, ResultT], shared: Sequence[float], done: float, begin: float
    ) -> float:
        """Answer the chunk's request or queue its next chunk; record its times. Returns when the last answer went.

        Args:
            stream: whose chunk it is.
            shared: microseconds of the batch's stages from ``COPY_IN`` on.
            done: when the batch was decoded.
            begin: when the answer before this one went.
        """
        stages = stream.stages
        stages[COPY_IN:PACK] = shared
        stream.fresh = False
        since = stream.ready_since if stream.asked_at is None else stream.asked_at
        goes_on = stream.session.pending_chunks > 0
        if goes_on:
            stream.ready_since = ended = done
            self._ready.add(stream, due=False)
        else:
            self._complete(stream)
            ended = perf_counter()
            stages[PACK] = (ended - begin) * 1e6
        if self._profile:
            self._profile.chunk(stream.stream_id, since, ended, stages)
        if stream.asked_at is not None:
            stream.asked_at = None
            if ended - since > self._chunk_seconds:
                self._streams.chunk_was_late(ended, stream, ended - since)
                if self._profile:
                    self._profile.late()
            if goes_on:  # the next chunk's times are its own
                stream.stages = new_stage_times()
        return begin if goes_on else ended

    def _complete(self, stream: Stream[PayloadT, ResultT]) -> None:
        """Answer the stream's request; free its slot if that was the last one."""
        request = stream.request
        assert request is not None
        stream.request = None
        stream.last_seen = perf_counter()
        if request.end:
            stream.session.close()
            self._streams.drop(stream.stream_id)
        result, stages = stream.session.take_result(), stream.stages
        if isinstance(result, Later):
            result.then(lambda known: request.reply(known, stages))
        else:
            request.reply(result, stages)

    def _fail_batch(self, batch: Sequence[Stream[PayloadT, ResultT]], error: Exception) -> None:
        self.counters.failed_batches += 1
        self._failed_in_a_row += 1
        detail, first = f"{error!r:.200}", batch[0].stream_id
        self._journal.note(perf_counter(), "batch-failed", first, detail=detail, streams=len(batch))
        for stream in batch:
            self._fail(stream, StreamError(Code.INTERNAL, f"a batch failed and its streams are lost: {detail}"), detail)
        if self._failed_in_a_row >= MOST_FAILED_BATCHES:
            self._on_broken(f"{self._failed_in_a_row} batches in a row failed: {detail}")

    def _fail(self, stream: Stream[PayloadT, ResultT], error: StreamError, detail: str) -> None:
        self._streams.lost(stream.stream_id, error.reason, perf_counter(), detail)
        request, stream.request = stream.request, None
        if request is not None:
            request.reply(error, stream.stages)

    def _tick(self, now: float) -> None:
        self._streams.reap(now)
        while self._unread:
            self._streams.turned_away(*self._unread.popleft(), now)
        self._streams.publish(now)
        if self._profile:
            self._profile.tick(now)
        self._on_tick(self.counters)
