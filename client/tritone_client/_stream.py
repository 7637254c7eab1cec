"""The whole life of one stream: admission, requests one at a time, resuming after a loss, the end.

What to replay and which events are news is `_resume`'s; how bytes travel is the transport's.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterator, Sequence
from types import TracebackType

from tritone_client import _waiting
from tritone_client._errors import (
    BadRequest,
    ConnectionFailed,
    ServerError,
    ServerFull,
    StreamClosed,
    StreamLost,
    TritoneError,
)
from tritone_client._events import Event, parse_events
from tritone_client._health import Health
from tritone_client._latency import LatencyRecorder
from tritone_client._options import Options, ParameterValue, Timeouts
from tritone_client._resume import ReplayLog
from tritone_client._transport import InferRequest, Transport
from tritone_client._wire import MAX_REQUEST_BYTES

_LOSSES = (ConnectionFailed, ServerFull, ServerError, StreamLost)
"""Errors after which another attempt, here or elsewhere, may succeed."""

_REPLAY_S = 3
"""Audio per request of a replay: ten chunks keep the service's batches fair to live streams."""

_MOST_FAULTS = 5
"""Failures of a service itself, per address, before a resume is given up: the audio may be at fault."""

_FAREWELL_S = 1.0
_CONNECT_PATIENCE_S = 0.3


class Stream:
    """A stream that is open, made by `Client.stream`.

    One request is under way at a time; calls from several tasks queue. Cancelling `send` does not unsend: its
    audio counts as sent, and the next call brings its events too.

    Attributes:
        options: what the stream was opened with.
        latency: from sending each request to its answer; replays are not counted.
        resumed: how many times the stream was lost and taken up again.
    """

    def __init__(
        self, transports: Sequence[Transport], options: Options, timeouts: Timeouts, health: Health | None = None
    ) -> None:
        self.options = options
        self.latency = LatencyRecorder()
        self.resumed = 0
        self._transports = transports  # in order of preference; the first one is in use
        self._timeouts = timeouts
        self._health = health or Health()
        self._log = ReplayLog(options)
        self._events: list[Event] = []  # collected, not yet returned
        self._sequence_id = 0
        self._live = False  # the service knows the sequence, and all it was sent is answered
        self._closed = False
        self._lock = asyncio.Lock()

    @property
    def address(self) -> str:
        """Where the stream is served at present."""
        return self._transports[0].address

    async def __aenter__(self) -> Stream:
        if self._sequence_id:
            raise StreamClosed("a stream is opened once; make another one with client.stream()")
        try:
            await self._open()
        except asyncio.CancelledError:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def send(self, audio: bytes) -> list[Event]:
        """Send audio and return what is new.

        Args:
            audio: any number of bytes in the stream's encoding; samples may be split between calls.

        Returns:
            Events in order; often none.

        Raises:
            StreamLost: the stream broke and could not be resumed within ``timeouts.resume``.
            BadRequest: the service refused the audio, which then counts as not sent; the stream goes on.
            StreamClosed: after `finish` or `aclose`.
        """
        async with self._lock:
            self._require_open()
            for piece in _pieces(audio, MAX_REQUEST_BYTES):
                await self._exchange(piece, end=False)
            return self._take()

    async def finish(self) -> list[Event]:
        """End the stream: the service flushes what it holds, and the last finals come back.

        Raises:
            StreamLost, StreamClosed: as for `send`.
        """
        async with self._lock:
            self._require_open()
            await self._exchange(b"", end=True)
            self._closed = True
            return self._take()

    async def aclose(self) -> None:
        """Give the slot back and drop what is still open. Harmless after `finish`; never raises."""
        if self._closed:
            return
        self._closed = True
        if self._sequence_id:
            await self._farewell()

    async def _open(self) -> None:
        """Take a slot on the first service that has one."""
        admission = _waiting.Patience(self._timeouts.admission)
        connecting = _waiting.Patience(_CONNECT_PATIENCE_S)
        self._transports = self._health.order(self._transports)
        while True:
            self._health.look(self._transports)
            full: ServerFull | None = None
            for _ in self._transports:
                try:
                    await self._start(self.options.parameters(), b"", end=False)
                except ServerFull as error:
                    full = error if full is None or error.retry_after_s < full.retry_after_s else full
                    failure: TritoneError = full
                except (ConnectionFailed, ServerError, StreamLost) as error:
                    failure = full or error
                    await self._part(error)
                else:
                    self._live = True
                    return
                self._next_transport()
            waited = await (admission.wait(full.retry_after_s) if full else connecting.wait())
            if not waited:
                raise failure

    async def _exchange(self, audio: bytes, *, end: bool) -> None:
        self._log.append(audio)
        try:
            if self._live:
                try:
                    await self._request(audio, end=end)
                except _LOSSES as error:
                    await self._resume(error, end=end)
            else:  # the call before was cancelled, or gave up
                await self._resume(None, end=end)
        except BadRequest:
            self._log.rollback()
            raise

    async def _request(self, audio: bytes, *, end: bool) -> None:
        self._live = False  # until the answer is here: a cancelled call leaves it so
        sent = _waiting.now()
        try:
            await self._infer(InferRequest(self._sequence_id, audio, end=end), self._log.end)
        except BadRequest:
            self._live = True  # a refused request has no effect
            raise
        self.latency.add(_waiting.now() - sent)
        self._live = True

    async def _resume(self, cause: TritoneError | None, *, end: bool) -> None:
        """Start a new sequence wherever a service takes it and bring it to where the lost one was."""
        patience = _waiting.Patience(self._timeouts.resume)
        faults = 0
        await self._part(cause)
        self._transports = self._health.order(self._transports)  # not first to where it was just lost
        while True:
            self._health.look(self._transports)
            retry_after_s = 0.0
            for _ in self._transports:
                try:
                    await self._replay(end=end)
                except _LOSSES as error:
                    cause = error
                    faults += isinstance(error, ServerError)
                    if isinstance(error, ServerFull):
                        retry_after_s = max(retry_after_s, error.retry_after_s)
                    await self._part(error)
                else:
                    self.resumed += 1
                    self._live = True
                    return
                self._next_transport()
            if faults >= _MOST_FAULTS * len(self._transports) or not await patience.wait(retry_after_s):
                self._closed = True
                message = f"the stream broke off and could not be resumed in {self._timeouts.resume:g} s: {cause}"
                raise StreamLost(message, self._take()) from cause

    async def _replay(self, *, end: bool) -> None:
        plan = self._log.replay()
        size = _REPLAY_S * self.options.bytes_per_second
        # Cut where the answered audio ends, so that each answer is either wholly old or wholly new.
        pieces = [piece for part in (plan.heard, plan.unheard) for piece in _pieces(part, size) if piece] or [b""]
        upto = self._log.end - sum(map(len, pieces))
        parameters = self.options.parameters()
        if plan.resume_after_ms:
            parameters["resume_after_ms"] = plan.resume_after_ms
        for index, piece in enumerate(pieces):
            upto += len(piece)
            last = end and index == len(pieces) - 1
            if index == 0:
                await self._start(parameters, piece, end=last, upto=upto)
            else:
                await self._infer(InferRequest(self._sequence_id, piece, end=last), upto)

    async def _start(self, parameters: dict[str, ParameterValue], audio: bytes, *, end: bool, upto: int = 0) -> None:
        # Ids are server-wide, and whoever guesses one could speak into the stream.
        self._sequence_id = secrets.randbelow(2**63 - 1) + 1
        await self._infer(InferRequest(self._sequence_id, audio, start=True, end=end, parameters=parameters), upto)

    async def _infer(self, request: InferRequest, upto: int) -> None:
        transport = self._transports[0]
        try:
            reply = await transport.infer(request, self._timeouts.request)
        except TritoneError as error:
            self._health.failed(transport.address, error)
            raise
        self._health.served(transport.address)
        self._events += self._log.accept(parse_events(reply.events), upto)

    async def _part(self, cause: TritoneError | None) -> None:
        """After a loss: free the slot, unless the service said that it holds none."""
        if not isinstance(cause, StreamLost | ServerFull | ServerError):
            await self._farewell()

    async def _farewell(self) -> None:
        """End the sequence at the service that may still hold it, and do not wait long for what it answers.

        A request that is still in work there goes first, so that the goodbye may take a while to be heard.
        """
        request, transport = InferRequest(self._sequence_id, end=True), self._transports[0]

        async def say() -> None:
            with contextlib.suppress(TritoneError):
                await transport.infer(request, self._timeouts.request)

        task = asyncio.create_task(say())
        self._health.keep(task)
        await asyncio.wait({task}, timeout=min(_FAREWELL_S, self._timeouts.request))

    def _next_transport(self) -> None:
        self._transports = self._health.order([*self._transports[1:], self._transports[0]])

    def _require_open(self) -> None:
        if self._closed:
            raise StreamClosed("the stream has ended; open a new one with client.stream()")
        if not self._sequence_id:
            raise StreamClosed("the stream is not open yet: write 'async with client.stream() as stream'")

    def _take(self) -> list[Event]:
        events, self._events = self._events, []
        return events


def _pieces(audio: bytes, size: int) -> Iterator[bytes]:
    """Cut audio into pieces of at most `size` bytes; a short one, or none at all, is one piece."""
    if len(audio) <= size:
        yield audio
        return
    for first in range(0, len(audio), size):
        yield audio[first : first + size]
