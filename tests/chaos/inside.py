"""The whole service in one process: real client, loops, sessions and engine, two "servers", and faults between them.

What is not real: gRPC and Triton (requests are handed to `StreamLoop.submit`), and the client's waits, which pass
twenty times as fast. `outside` has the processes and the wire.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import types
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from tritone_backend.decoding.service import DecoderChoice, Decoding
from tritone_backend.decoding.settings import DecodingSettings
from tritone_backend.engines import create_engine
from tritone_backend.errors import Code, EngineError, StreamError
from tritone_backend.events import encode
from tritone_backend.limits import Limits
from tritone_backend.loop import StreamLoop
from tritone_backend.models.registry import find_model
from tritone_backend.options import StreamOptions
from tritone_backend.streams import Request
from tritone_backend.transcriber import Transcriber
from tritone_client import InferReply, InferRequest
from tritone_client._errors import TritoneError, from_status

from tests.chaos.obedient import ObedientLane

sys.modules.setdefault("triton_python_backend_utils", types.ModuleType("triton_python_backend_utils"))
from tritone_backend.triton import asr  # noqa: E402 - needs the module above

SPEED = 20.0
IDLE_S = 1.0
ADMIN = "chaos"
STATUS = {Code.FULL: "UNAVAILABLE", Code.DRAINING: "UNAVAILABLE", Code.UNKNOWN_STREAM: "NOT_FOUND"}
STATUS |= {Code.DUPLICATE_START: "ALREADY_EXISTS", Code.INTERNAL: "INTERNAL"}


class FaultyEngine:
    """A real engine of two lanes that fail or dawdle when they are told to."""

    def __init__(self, number: int) -> None:
        self._engine, _ = create_engine("onnxruntime", find_model("default"), threads=2)
        self.spec, self.name = self._engine.spec, f"faulty {number}"
        self.step, self.allocate = self._engine.step, self._engine.allocate
        self.lanes = tuple(ObedientLane(lane, self._obey) for lane in self._engine.lanes)
        self.fail = 0
        self.stall_s = 0.0
        self.error: Exception = EngineError("told to fail")
        self._turn = threading.Lock()

    @property
    def timing(self):
        return self._engine.timing

    def _obey(self) -> None:
        with self._turn:
            pause, self.stall_s = self.stall_s, 0.0
            if self.fail > 0:
                self.fail -= 1
                raise self.error
        time.sleep(pause)


@lru_cache
def engines() -> tuple[FaultyEngine, FaultyEngine]:
    return FaultyEngine(0), FaultyEngine(1)


@lru_cache
def decoding() -> Decoding:
    """The default decoder, with all the time it wants: words must not depend on how busy this machine is."""
    choice = DecoderChoice(deadline_s=60.0)
    return Decoding(engines()[0].spec, DecodingSettings.load(find_model("default")), choice)


@dataclass
class Server:
    """One server's process, as far as a client can tell.

    Attributes:
        cut: nothing comes through, in either direction, and nobody is told.
        delay_s: each answer comes so much later.
        lose_requests, lose_answers: how many of the next ones do not arrive; the client is told.
    """

    address: str
    engine: FaultyEngine
    slots: int
    loop: StreamLoop | None = None
    cut: bool = False
    delay_s: float = 0.0
    lose_requests: int = 0
    lose_answers: int = 0
    broken: list[str] = field(default_factory=list)
    restarts: int = 0
    waiting: set[asyncio.Future] = field(default_factory=set)

    def start(self) -> None:
        """Begin with empty slots, as after any restart."""
        spec = self.engine.spec
        self.engine.fail, self.engine.stall_s = 0, 0.0
        self.broken = []
        self.loop = StreamLoop(
            self.engine,
            lambda parameters, stream_id: Transcriber(spec, StreamOptions.parse(parameters), decoding()),
            lambda sessions, logprobs: asr._digest(spec, sessions, logprobs),
            Limits(self.slots, 8, IDLE_S, measured=False, admin_key=ADMIN),
            on_broken=self.broken.append,
        )
        self.loop.start()

    async def kill(self) -> None:
        """End it as SIGKILL does: what was asked is never answered, and nothing it knew is left."""
        loop, self.loop = self.loop, None
        for future in list(self.waiting):
            if not future.done():
                future.set_exception(from_status("UNAVAILABLE", "Socket closed", self.address))
        if loop is not None:
            await asyncio.to_thread(loop.stop)

    async def restart(self, down_s: float = 0.05) -> None:
        """What the supervisor does."""
        await self.kill()
        await asyncio.sleep(down_s)
        await asyncio.to_thread(self.start)
        self.restarts += 1

    async def ask(self, request: InferRequest) -> bytes:
        """Hand a request to the loop. Raises TritoneError, as the transport over gRPC does."""
        if self.loop is None:
            raise from_status("UNAVAILABLE", "failed to connect to all addresses", self.address)
        answer: asyncio.Future = asyncio.get_running_loop().create_future()
        events = asyncio.get_running_loop()

        def settle(result) -> None:
            if answer.done():
                return
            if isinstance(result, StreamError):
                status = STATUS.get(result.code, "INVALID_ARGUMENT")
                answer.set_exception(from_status(status, result.user_message, self.address))
            else:
                answer.set_result(encode(result))

        def reply(result, stages) -> None:
            events.call_soon_threadsafe(settle, result)

        self.waiting.add(answer)
        answer.add_done_callback(self.waiting.discard)
        self.loop.submit(
            [
                Request(
                    request.sequence_id,
                    request.start,
                    request.end,
                    request.audio,
                    dict(request.parameters),
                    reply,
                    time.perf_counter(),
                )
            ]
        )
        return await answer

    async def drain(self, action: str) -> int:
        """What `tritone drain` sends; returns the live streams."""
        parameters = {"probe": True, "drain": action, "admin_key": ADMIN}
        try:
            await self.ask(InferRequest(2**62 + 1, bytes(4800), True, True, parameters))
        except TritoneError:
            assert self.loop is not None
            return self.loop._gate.board.live
        return 0


class InsideTransport:
    """The client's transport: straight into a server's loop, through whatever weather there is."""

    def __init__(self, server: Server) -> None:
        self.server, self.address = server, server.address
        self._turns: dict[int, asyncio.Lock] = {}

    async def infer(self, request: InferRequest, timeout: float) -> InferReply:
        try:
            return await asyncio.wait_for(self._in_turn(request), timeout / SPEED)
        except (TimeoutError, asyncio.TimeoutError):
            raise from_status("DEADLINE_EXCEEDED", "Deadline Exceeded", self.address) from None

    async def _in_turn(self, request: InferRequest) -> InferReply:
        """One request of a sequence at a time, as Triton does it: a goodbye waits for what is in work."""
        async with self._turns.setdefault(request.sequence_id, asyncio.Lock()):
            return await self._infer(request)

    async def _infer(self, request: InferRequest) -> InferReply:
        server = self.server
        while server.cut:
            await asyncio.sleep(0.02)
            if not server.cut:  # what was sent into the void does not come back
                await asyncio.sleep(3600)
        if server.lose_requests > 0:
            server.lose_requests -= 1
            raise from_status("UNAVAILABLE", "failed to connect to all addresses", self.address)
        events = await server.ask(request)
        await asyncio.sleep(server.delay_s)
        if server.cut:
            await asyncio.sleep(3600)
        if server.lose_answers > 0:
            server.lose_answers -= 1
            raise from_status("UNAVAILABLE", "Socket closed", self.address)
        return InferReply({"events": events})

    async def ready(self, timeout: float) -> bool:
        return self.server.loop is not None and not self.server.cut

    async def close(self) -> None:
        pass


def threads() -> list[str]:
    """Names of the loops' threads that run."""
    return [thread.name for thread in threading.enumerate() if thread.name == "stream-loop"]


def speech(seed: int, samples: np.ndarray) -> bytes:
    """A call of 4 to 8 s of a recording, loud or low, as 16-bit samples."""
    rng = np.random.default_rng(seed)
    length = int(rng.integers(4, 9)) * 8000
    begin = int(rng.integers(0, len(samples) - length))
    return (samples[begin : begin + length] * rng.uniform(0.4, 1.0)).astype(np.int16).tobytes()
