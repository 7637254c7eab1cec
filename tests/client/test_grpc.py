"""The client over real gRPC, against the fake service in this process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from tritone_client import (
    Client,
    ConnectionFailed,
    Event,
    InvalidOption,
    ProtocolError,
    ServerFull,
    StreamClosed,
    Timeouts,
)
from tritone_client._grpc import GrpcTransport, build
from tritone_client._transport import InferRequest

from tests.client.fake_server import FakeServer, serve
from tests.client.fake_service import FakeService, listen
from tests.client.test_stream import CALL, finals

pytestmark = pytest.mark.unit


@pytest.fixture
async def server(service: FakeService) -> AsyncIterator[FakeServer]:
    async with serve(service) as server:
        yield server


async def packets(audio: bytes, size: int = 160) -> AsyncIterator[bytes]:
    for first in range(0, len(audio), size):
        yield audio[first : first + size]


async def test_transcribe(server: FakeServer, service: FakeService) -> None:
    async with Client(server.address) as client:
        events = [event async for event in client.transcribe(packets(CALL), encoding="mulaw")]
        sizes = [len(request.audio) for request in service.requests]
        again = [event async for event in client.transcribe([CALL], encoding="mulaw")]
    assert finals(events) == finals(again) == listen(CALL, encoding="mulaw")
    assert sizes == [0, *[2400] * (len(CALL) // 2400), len(CALL) % 2400, 0], "20 ms are gathered into chunks"


async def test_the_server_dies_and_comes_back(server: FakeServer, service: FakeService) -> None:
    async with Client(server.address, timeout=Timeouts(request=2)) as client:
        events: list[Event] = []
        async with client.stream(encoding="mulaw") as stream:
            events += await stream.send(CALL[:30000])
            await server.stop()
            service.streams.clear()
            sending = asyncio.create_task(stream.send(CALL[30000:50000]))
            await asyncio.sleep(0.2)
            assert not sending.done()
            await server.start()
            events += await sending
            events += await stream.send(CALL[50000:])
            events += await stream.finish()
        assert stream.resumed == 1
    assert finals(events) == listen(CALL, encoding="mulaw")


async def test_errors_over_the_wire(server: FakeServer, service: FakeService) -> None:
    async with Client(server.address, timeout=Timeouts(admission=0)) as client:
        with pytest.raises(InvalidOption):
            await client.stream(endpointing_ms=20_000).__aenter__()
        service.max_streams = 0
        with pytest.raises(ServerFull) as caught:
            await client.stream().__aenter__()
        assert caught.value.retry_after_s == 2


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    async with Client(address) as client:
        with pytest.raises(ConnectionFailed, match="tritone serve"):
            await client.stream().__aenter__()


async def test_another_service(server: FakeServer) -> None:
    transport = GrpcTransport(server.address, model="something_else")
    with pytest.raises(ProtocolError, match="is it a Tritone service"):
        await transport.infer(InferRequest(1, start=True), 2.0)
    await transport.close()


async def test_closing_the_client_under_a_stream(server: FakeServer) -> None:
    client = Client(server.address)
    async with client.stream() as stream:
        await client.aclose()
        with pytest.raises(StreamClosed):
            await stream.send(b"\0\0")


def test_message() -> None:
    request = InferRequest(
        2**63 - 1, b"abc", start=True, parameters={"words": True, "sample_rate": 8000, "encoding": "alaw"}
    )
    message = build("streaming_asr", request)
    assert message.model_name == "streaming_asr"
    assert message.raw_input_contents[0] == b"abc"
    assert (message.inputs[0].name, message.inputs[0].datatype) == ("audio", "UINT8")
    assert list(message.inputs[0].shape) == [1, 3]
    assert [output.name for output in message.outputs] == ["events"]
    kinds = {name: value.WhichOneof("parameter_choice") for name, value in message.parameters.items()}
    assert kinds == {
        "sequence_id": "int64_param",
        "sequence_start": "bool_param",
        "sequence_end": "bool_param",
        "words": "bool_param",
        "sample_rate": "int64_param",
        "encoding": "string_param",
    }
