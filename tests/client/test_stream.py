"""One stream against the fake service: admission, requests, losses, the end."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from tritone_client import (
    BadRequest,
    Client,
    ConnectionFailed,
    Event,
    Final,
    InferReply,
    InferRequest,
    InvalidAudio,
    InvalidOption,
    Partial,
    ProtocolError,
    ServerFull,
    StreamClosed,
    StreamLost,
    Timeouts,
)

from tests.client.conftest import Clock
from tests.client.fake_service import FakeService, FakeTransport, listen, speech

pytestmark = pytest.mark.unit

CALL = speech((0, 0.5), (7, 1.2), (8, 0.6), (0, 1.5), (9, 2.0), (0, 0.3), (4, 0.5), (0, 2.0), (5, 0.8))
LONG = CALL + speech(*[(word, seconds) for word in range(1, 40) for seconds in (1.4,)] + [(0, 1.0)]) + 6 * CALL
LOSSES = ["request lost", "answer lost", "answer late", "restarted", "draining", "internal"]


def finals(events: list[Event]) -> list[dict[str, Any]]:
    return [
        {"type": "final", **{f.name: getattr(e, f.name) for f in dataclasses.fields(e) if f.name != "words"}}
        for e in events
        if isinstance(e, Final)
    ]


async def run(client: Client, audio: bytes, size: int = 2400, **fields: Any) -> list[Event]:
    events: list[Event] = []
    async with client.stream(encoding="mulaw", **fields) as stream:
        for first in range(0, len(audio), size):
            events += await stream.send(audio[first : first + size])
        return events + await stream.finish()


async def test_unbroken(client: Client, service: FakeService) -> None:
    events = await run(client, CALL)
    assert [event.text for event in events if isinstance(event, Final)] == ["7 8", "9 4", "5"]
    assert finals(events) == listen(CALL, encoding="mulaw")
    partials = [event for event in events if isinstance(event, Partial)]
    assert [p.text for p in partials] == ["7", "7 8", "9", "9 4", "5"]
    assert service.requests[0].start
    assert service.requests[0].audio == b""
    assert not service.streams, "the slot is free again"


async def test_without_partials(client: Client) -> None:
    assert all(isinstance(event, Final) for event in await run(client, CALL, interim_results=False))


async def test_options_travel_on_start_only(client: Client, service: FakeService) -> None:
    async with client.stream(encoding="alaw", sample_rate=16000, words=True, hotwords=["да", "нет"]) as stream:
        await stream.send(b"\0" * 100)
    start, data, end = service.requests
    assert start.parameters == {
        "encoding": "alaw",
        "sample_rate": 16000,
        "interim_results": True,
        "words": True,
        "hotwords": '["да", "нет"]',
    }
    assert not data.parameters
    assert data.audio == b"\0" * 100
    assert end.end
    assert len({request.sequence_id for request in service.requests}) == 1
    assert 0 < start.sequence_id < 2**63


@pytest.mark.parametrize("fault", LOSSES)
@pytest.mark.parametrize("number", [1, 2, 7, 14, 29, 31, -1])
async def test_resumes_with_each_final_once(
    client: Client, service: FakeService, clock: Clock, fault: str, number: int
) -> None:
    """`number` counts requests; -1 is the END request."""
    struck = False

    def strike(index: int, request: InferRequest) -> str | None:
        nonlocal struck
        if struck or (not request.end if number == -1 else index != number):
            return None
        struck = True
        return fault

    service.fault = strike
    events = await run(client, CALL)
    assert struck
    assert finals(events) == listen(CALL, encoding="mulaw")
    texts = [event.text for event in events if isinstance(event, Partial)]
    assert texts == ["7", "7 8", "9", "9 4", "5"]


async def test_replay_starts_25_s_before_the_last_final(client: Client, service: FakeService, clock: Clock) -> None:
    struck: list[int] = []

    def strike(index: int, request: InferRequest) -> str | None:
        if index == 400 and not struck:
            struck.append(index)
            return "restarted"
        return None

    service.fault = strike
    expected = listen(LONG, encoding="mulaw")
    assert finals(await run(client, LONG)) == expected
    start = next(request for request in service.requests[400:] if request.start)
    sent = 399 * 0.3  # the START request carried no audio; request 400 was the one lost
    last_final = max(f["end"] for f in expected if f["end"] + 0.6 <= sent)
    replayed = sum(len(r.audio) for r in service.requests[401:] if not r.end)
    origin = (len(LONG) - replayed) / 8000
    assert origin > 0
    assert round(origin / 0.3, 6) == round(origin / 0.3)
    assert 25.0 <= last_final - origin < 25.3
    assert start.parameters["resume_after_ms"] == round((last_final - origin) * 1000)


async def test_repeated_losses_and_losses_while_replaying(client: Client, service: FakeService, clock: Clock) -> None:
    # A replay takes up to 30 requests here; 41 apart, losses hit both live requests and replays.
    service.fault = lambda index, request: LOSSES[index % 4] if index % 41 == 40 or 300 < index < 304 else None
    assert finals(await run(client, LONG)) == listen(LONG, encoding="mulaw")
    assert sum(service.counts.values()) > 10


async def test_moves_to_the_next_address(clock: Clock) -> None:
    services = {"one:8001": FakeService(), "two:8001": FakeService()}
    client = Client(["one", "two"], transport=lambda address: FakeTransport(services[address], address))
    async with client.stream(encoding="mulaw") as stream:
        assert stream.address == "one:8001"
        events = await stream.send(CALL[:20000])
        services["one:8001"].fault = lambda index, request: "request lost"
        events += await stream.send(CALL[20000:])
        assert stream.address == "two:8001"
        assert stream.resumed == 1
        events += await stream.finish()
    assert finals(events) == listen(CALL, encoding="mulaw")
    assert clock.waits == [], "nothing to wait for while another address is untried"
    assert client.stream().address == "two:8001", "streams are spread over the addresses"


async def test_lost_for_good(client: Client, service: FakeService, clock: Clock) -> None:
    service.fault = lambda index, request: "request lost" if index > 9 else None
    began = clock.now
    with pytest.raises(StreamLost) as caught:
        await run(client, CALL)
    assert 50 < clock.now - began <= 62
    assert "could not be resumed in 60 s" in caught.value.user_message
    assert isinstance(caught.value.__cause__, ConnectionFailed)


async def test_lost_while_replaying_keeps_what_came(client: Client, service: FakeService, clock: Clock) -> None:
    """Finals that a replay brought are in the exception when the stream is lost after all."""
    async with client.stream(encoding="mulaw") as stream:
        await stream.send(CALL[:2400])
        restarted = len(service.requests)
        service.fault = lambda index, r: (
            "restarted" if index == restarted else "request lost" if index > restarted + 2 else None
        )
        with pytest.raises(StreamLost) as caught:
            await stream.send(CALL)
        assert [event["text"] for event in finals(list(caught.value.events))] == ["7 8"]
        with pytest.raises(StreamClosed):
            await stream.send(b"")


async def test_a_service_that_trips_over_the_audio_is_left_alone(
    client: Client, service: FakeService, clock: Clock
) -> None:
    service.fault = lambda index, request: "internal" if index > 3 else None
    with pytest.raises(StreamLost, match="the engine failed"):
        await run(client, CALL)
    assert len(service.requests) < 12


async def test_full_then_admitted(client: Client, service: FakeService, clock: Clock) -> None:
    service.max_streams = 1
    async with client.stream() as first:
        opening = asyncio.create_task(run(client, CALL))
        for _ in range(20):
            await asyncio.sleep(0)
        assert clock.waits
        assert all(2.0 <= wait <= 2.5 for wait in clock.waits), "as long as the service asked"
        await first.finish()
    assert finals(await opening) == listen(CALL, encoding="mulaw")


async def test_full_for_ever(client: Client, service: FakeService, clock: Clock) -> None:
    service.max_streams = 0
    began = clock.now
    with pytest.raises(ServerFull) as caught:
        await run(client, CALL)
    assert caught.value.retry_after_s == 2
    assert 25 < clock.now - began < 33
    assert "[tritone" not in caught.value.user_message


async def test_full_and_no_wish_to_wait(service: FakeService, clock: Clock) -> None:
    service.max_streams = 0
    client = Client(timeout=Timeouts(admission=0), transport=lambda address: FakeTransport(service, address))
    with pytest.raises(ServerFull):
        await run(client, CALL)
    assert clock.waits == []
    assert len(service.requests) == 1


async def test_full_here_free_there(clock: Clock) -> None:
    services = {"one:8001": FakeService(max_streams=0), "two:8001": FakeService()}
    client = Client(["one", "two"], transport=lambda address: FakeTransport(services[address], address))
    assert finals(await run(client, CALL)) == listen(CALL, encoding="mulaw")
    assert clock.waits == []


async def test_nobody_there(client: Client, service: FakeService, clock: Clock) -> None:
    service.fault = lambda index, request: "request lost"
    began = clock.now
    with pytest.raises(ConnectionFailed, match="tritone serve"):
        await run(client, CALL)
    assert clock.now - began < 1


async def test_refused_option(client: Client, service: FakeService, clock: Clock) -> None:
    with pytest.raises(InvalidOption, match=r"60 to 10000$"):
        await run(client, CALL, endpointing_ms=20_000)
    assert len(service.requests) == 1


async def test_refused_audio_has_no_effect(client: Client, service: FakeService, clock: Clock) -> None:
    events: list[Event] = []
    async with client.stream(encoding="mulaw") as stream:
        events += await stream.send(CALL[:24000])
        number = len(service.requests)
        service.fault = lambda index, r: {number: "bad audio", number + 2: "restarted"}.get(index)
        with pytest.raises(InvalidAudio):
            await stream.send(b"\1\2\3" * 1000)
        events += await stream.send(CALL[24000:40000])
        events += await stream.send(CALL[40000:])  # resumed here: what was refused is not replayed
        assert stream.resumed == 1
        events += await stream.finish()
    assert finals(events) == listen(CALL, encoding="mulaw")


async def test_a_cancelled_send_loses_nothing(service: FakeService, clock: Clock) -> None:
    gate = asyncio.Event()
    gate.set()

    class Slow(FakeTransport):
        async def infer(self, request: InferRequest, timeout: float) -> InferReply:
            reply = await super().infer(request, timeout)
            await gate.wait()
            return reply

    client = Client(transport=lambda address: Slow(service, address))
    async with client.stream(encoding="mulaw") as stream:
        events = await stream.send(CALL[:9600])
        gate.clear()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(stream.send(CALL[9600:33600]), 0.01)
        gate.set()
        events += await stream.send(CALL[33600:])
        events += await stream.finish()
    assert finals(events) == listen(CALL, encoding="mulaw")
    assert not service.streams, "the sequence of the cancelled request was ended"


async def test_large_audio_is_cut(client: Client, service: FakeService) -> None:
    audio = speech((0, 1), (3, 2), (0, 400), (4, 1))
    assert finals(await run(client, audio, size=len(audio))) == listen(audio, encoding="mulaw")
    assert max(len(request.audio) for request in service.requests) <= 2 * 1024 * 1024


async def test_many_tasks_may_send(client: Client, service: FakeService) -> None:
    async with client.stream(encoding="mulaw") as stream:
        parts = await asyncio.gather(*(stream.send(CALL[i : i + 2400]) for i in range(0, len(CALL), 2400)))
        events = [event for part in parts for event in part] + await stream.finish()
    assert finals(events) == listen(CALL, encoding="mulaw")


async def test_leaving_early_frees_the_slot(client: Client, service: FakeService) -> None:
    async with client.stream() as stream:
        await stream.send(b"\0\0")
        assert len(service.streams) == 1
    assert not service.streams


async def test_closed_streams_say_so(client: Client) -> None:
    async with client.stream() as stream:
        await stream.finish()
        with pytest.raises(StreamClosed):
            await stream.send(b"")
        with pytest.raises(BadRequest):
            await stream.finish()
    with pytest.raises(StreamClosed, match="opened once"):
        await stream.__aenter__()
    with pytest.raises(StreamClosed, match="async with"):
        await client.stream().send(b"")


async def test_latency_is_recorded_per_request(client: Client) -> None:
    async with client.stream() as stream:
        for _ in range(5):
            await stream.send(bytes(4800))
        assert stream.latency.summary().count == 5
        assert all(0 <= seconds < 1 for seconds in stream.latency.seconds)


async def test_nonsense_answers_are_refused(service: FakeService) -> None:
    class Nonsense(FakeTransport):
        async def infer(self, request: InferRequest, timeout: float) -> InferReply:
            return InferReply({"events": b'{"what": 1}'})

    with pytest.raises(ProtocolError):
        await run(Client(transport=lambda address: Nonsense(service)), CALL)
