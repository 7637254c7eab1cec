"""A service in this process that speaks ModelInfer over a real gRPC server and can misbehave on request.

Its words are checksums of a stream's audio, so that mixed up or lost audio shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

STAGES = "queue,network"


class FakeService(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Attributes set at any time by a test, from another thread."""

    def __init__(self) -> None:
        self.delay_s = 0.002
        self.wrong_after = 10**9  # requests from which words are wrong
        self.stall_after = 10**9
        self.full_at = 10**9  # live streams
        self.serial_s = 0.0  # work that only one request at a time can do
        self.flushes = False  # the end of a call brings one word more
        self.requests = 0
        self.parameters: list[dict[str, Any]] = []
        self.live: dict[int, int] = {}
        self._turn = asyncio.Lock()

    async def ModelInfer(self, message: Any, context: Any) -> Any:
        self.requests += 1
        values = {name: getattr(v, v.WhichOneof("parameter_choice")) for name, v in message.parameters.items()}
        self.parameters.append(values)
        stream, audio = values["sequence_id"], message.raw_input_contents[0]
        assert list(message.inputs[0].shape) == [1, len(audio)]
        assert message.model_name == "streaming_asr"
        if self.requests > self.stall_after:
            await asyncio.sleep(60)
        if values.get("sequence_start"):
            if len(self.live) >= self.full_at:
                await context.abort(
                    grpc.StatusCode.UNAVAILABLE,
                    f"no free slot: {self.full_at} of {self.full_at} are taken; try again in 2 s "
                    "[tritone:full retry_after_s=2]",
                )
            self.live[stream] = 0
        if stream not in self.live:
            await context.abort(grpc.StatusCode.NOT_FOUND, "stream is not live [tritone:unknown-stream]")
        await asyncio.sleep(self.delay_s)
        if self.serial_s:
            async with self._turn:
                await asyncio.sleep(self.serial_s)
        self.live[stream] = zlib.crc32(audio, self.live[stream])
        word = f"{self.live[stream]:x}" if self.requests <= self.wrong_after else "wrong"
        if values.get("sequence_end"):
            del self.live[stream]
            word += " rest" * self.flushes
        events = json.dumps([{"type": "final", "text": word, "start": 0.0, "end": 0.3}]).encode()
        wanted = [output.name for output in message.outputs]
        answer = service_pb2.ModelInferResponse(model_name=message.model_name)
        for name, payload in (("events", events), ("timing", b"\0\0\x80\x3f\0\0\0\x40")):
            if not wanted or name in wanted:
                answer.outputs.add(name=name, datatype="UINT8", shape=[1, len(payload)])
                answer.raw_output_contents.append(payload)
        return answer

    async def ModelReady(self, message: Any, context: Any) -> Any:
        return service_pb2.ModelReadyResponse(ready=message.name == "streaming_asr")

    async def ModelConfig(self, message: Any, context: Any) -> Any:
        config = model_config_pb2.ModelConfig(name=message.name)
        config.parameters["timing_names"].string_value = STAGES
        config.parameters["max_streams"].string_value = "64"
        return service_pb2.ModelConfigResponse(config=config)

    async def ServerMetadata(self, message: Any, context: Any) -> Any:
        return service_pb2.ServerMetadataResponse(name="fake", version="1")


class Running:
    """A FakeService on a port of its own, in a thread."""

    def __init__(self) -> None:
        self.port = 0
        self.service: Any = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def _serve(self) -> None:
        self.service = FakeService()
        server = grpc.aio.server()
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self.service, server)
        self.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._ready.set()
        await self._stop.wait()
        await server.stop(0)

    def die(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            self._loop.close()


@contextlib.contextmanager
def fake_service() -> Iterator[Running]:
    running = Running()
    try:
        yield running
    finally:
        running.die()
