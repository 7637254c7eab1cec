"""A service that keeps the wire contract without a network: words are the values of samples.

Samples that are zero are silence; the first byte of any other is a word. Frames, chunks, endpointing, slots
and `resume_after_ms` behave as the contract says, and the confidence of a final is a checksum of the 20 s
that precede it: a resumed stream gives the same one only if it replayed enough audio on the same chunk grid.
"""

from __future__ import annotations

import asyncio
import collections
import json
import zlib
from collections.abc import Callable
from typing import Any

from tritone_client import InferReply, InferRequest
from tritone_client._errors import from_status

WIDTH = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}
FRAMES_PER_CHUNK = 10
MEMORY_CHUNKS = 66
MAX_BYTES = 2 * 1024 * 1024


class Status(Exception):
    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class FakeStream:
    def __init__(self, parameters: dict[str, Any]) -> None:
        self.rate = parameters.get("sample_rate", 8000)
        self.width = WIDTH[parameters.get("encoding", "pcm_s16le")]
        self.partials = parameters.get("interim_results", True)
        self.min_silence = parameters.get("endpointing_ms", 600) // 30
        self.max_phrase = parameters.get("max_phrase_ms", 60_000) // 30
        self.first = round(parameters.get("resume_after_ms", 0) / 30)
        self.audio = bytearray()
        self.frames: list[int] = []  # word of each frame, 0 for silence
        self.start: int | None = None
        self.quiet = 0
        self.shown: list[int] = []
        self.events: list[dict[str, Any]] = []

    def byte(self, frame: int) -> int:
        return frame * 3 * self.rate // 100 * self.width

    def feed(self, audio: bytes) -> None:
        self.audio += audio
        while len(self.audio) >= self.byte(len(self.frames) + FRAMES_PER_CHUNK):
            self.chunk()

    def chunk(self) -> None:
        for _ in range(FRAMES_PER_CHUNK):
            frame = len(self.frames)
            sound = bytes(self.audio[self.byte(frame) : self.byte(frame + 1)]).lstrip(b"\0")
            self.frames.append(sound[0] if sound else 0)
            if frame >= self.first:
                self.listen(frame, self.frames[-1])
        if self.start is not None and self.partials and self.words(self.start, len(self.frames)) != self.shown:
            self.shown = self.words(self.start, len(self.frames))
            self.report("partial", self.start, len(self.frames))

    def listen(self, frame: int, word: int) -> None:
        self.quiet = 0 if word else self.quiet + 1
        if word and self.start is None:
            self.start = frame
        if self.start is None:
            return
        if self.quiet >= self.min_silence:
            self.close(frame + 1 - self.quiet)
        elif frame + 1 - self.start >= self.max_phrase:
            self.close(frame + 1)

    def close(self, end: int) -> None:
        assert self.start is not None
        self.report("final", self.start, end)
        self.start, self.shown = None, []

    def finish(self) -> None:
        if len(self.audio) > self.byte(len(self.frames)):
            missing = self.byte(len(self.frames) + FRAMES_PER_CHUNK) - len(self.audio)
            self.feed(bytes(max(0, missing)))
        if self.start is not None:
            self.close(len(self.frames) - self.quiet)

    def words(self, start: int, end: int) -> list[int]:
        words: list[int] = []
        for word in self.frames[start:end]:
            if word and (not words or word != words[-1]):
                words.append(word)
        return words

    def report(self, kind: str, start: int, end: int) -> None:
        first = max(0, start // FRAMES_PER_CHUNK - MEMORY_CHUNKS) * FRAMES_PER_CHUNK
        checksum = zlib.crc32(self.audio[self.byte(first) : self.byte(end)])
        self.events.append(
            {
                "type": kind,
                "text": " ".join(map(str, self.words(start, end))),
                "start": round(start * 0.03, 2),
                "end": round(end * 0.03, 2),
                "confidence": checksum / 2**32,
            }
        )

    def take(self) -> list[dict[str, Any]]:
        events, self.events = self.events, []
        return events


class FakeService:
    """Answers requests; `fault` may name a mishap for the request with a given number, counted from 0."""

    def __init__(self, max_streams: int = 1000) -> None:
        self.streams: dict[int, FakeStream] = {}
        self.max_streams = max_streams
        self.fault: Callable[[int, InferRequest], str | None] = lambda number, request: None
        self.requests: list[InferRequest] = []
        self.says_ready = True
        self.counts: collections.Counter[str] = collections.Counter()

    def handle(self, request: InferRequest) -> bytes:
        fault = self.fault(len(self.requests), request)
        self.requests.append(request)
        if fault is not None:
            self.counts[fault] += 1
        if fault == "request lost":
            raise Status("UNAVAILABLE", "failed to connect to all addresses")
        if fault == "restarted":
            self.streams.clear()
        elif fault == "answer lost":
            self.answer(request)
            raise Status("UNAVAILABLE", "Socket closed")
        elif fault == "answer late":
            self.answer(request)
            raise Status("DEADLINE_EXCEEDED", "Deadline Exceeded")
        elif fault == "draining":
            self.streams.pop(request.sequence_id, None)
            raise Status("UNAVAILABLE", "stopping; go elsewhere [tritone:draining retry_after_s=1]")
        elif fault == "internal":
            self.streams.pop(request.sequence_id, None)
            raise Status("INTERNAL", "the engine failed; see the log [tritone:internal]")
        elif fault == "bad audio":
            raise Status("INVALID_ARGUMENT", "not a number in the audio [tritone:bad-audio]")
        return json.dumps(self.answer(request)).encode()

    def answer(self, request: InferRequest) -> list[dict[str, Any]]:
        if len(request.audio) > MAX_BYTES:
            raise Status("INVALID_ARGUMENT", "more than 2 MiB in one request [tritone:too-large]")
        if request.start:
            if request.parameters.get("endpointing_ms", 600) > 10_000:
                raise Status("INVALID_ARGUMENT", "endpointing_ms must be 60 to 10000 [tritone:bad-option]")
            if request.sequence_id in self.streams:
                raise Status("ALREADY_EXISTS", "the stream is alive [tritone:duplicate-start]")
            if len(self.streams) >= self.max_streams:
                raise Status("UNAVAILABLE", "no free slot: try again in 2 s [tritone:full retry_after_s=2]")
            self.streams[request.sequence_id] = FakeStream(dict(request.parameters))
        stream = self.streams.get(request.sequence_id)
        if stream is None:
            raise Status(
                "INVALID_ARGUMENT",
                f"inference request for sequence {request.sequence_id} must specify the START flag on the first",
            )
        stream.feed(request.audio)
        if request.end:
            stream.finish()
            del self.streams[request.sequence_id]
        return stream.take()


class FakeTransport:
    def __init__(self, service: FakeService, address: str = "fake:1") -> None:
        self.service, self.address, self.closed = service, address, False

    async def infer(self, request: InferRequest, timeout: float) -> InferReply:
        await asyncio.sleep(0)
        try:
            return InferReply({"events": self.service.handle(request)})
        except Status as error:
            raise from_status(error.status, error.message, self.address) from error

    async def ready(self, timeout: float) -> bool:
        await asyncio.sleep(0)
        return self.service.says_ready

    async def close(self) -> None:
        self.closed = True


def speech(*parts: tuple[int, float], rate: int = 8000, width: int = 1) -> bytes:
    """Audio of (word, seconds) parts; word 0 is silence."""
    return b"".join(bytes([word] + [0] * (width - 1)) * round(seconds * rate) for word, seconds in parts)


def listen(audio: bytes, **parameters: Any) -> list[dict[str, Any]]:
    """What an unbroken stream reports, finals only."""
    stream = FakeStream(parameters)
    stream.feed(audio)
    stream.finish()
    return [event for event in stream.take() if event["type"] == "final"]
