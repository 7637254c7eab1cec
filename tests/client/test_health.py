"""Several addresses: those that answer and admit are tried first, the others are looked at beside the streams."""

from __future__ import annotations

import asyncio

import pytest
from tritone_client import Client, ConnectionFailed, ServerFull, Timeouts
from tritone_client._errors import from_status

from tests.client.conftest import Clock
from tests.client.fake_service import FakeService, FakeTransport

pytestmark = pytest.mark.unit


class Pair:
    def __init__(self) -> None:
        self.services = {"one:1": FakeService(), "two:2": FakeService()}
        self.client = Client(
            list(self.services),
            timeout=Timeouts(),
            transport=lambda address: FakeTransport(self.services[address], address),
        )

    async def addresses(self, count: int) -> list[str]:
        found = []
        for _ in range(count):
            async with self.client.stream() as stream:
                found.append(stream.address)
                await stream.finish()
        return found

    def starts(self, address: str) -> int:
        return sum(request.start for request in self.services[address].requests)


async def test_streams_are_spread_in_turn(clock: Clock) -> None:
    assert await Pair().addresses(4) == ["one:1", "two:2", "one:1", "two:2"]


async def test_a_service_that_is_gone_is_asked_once_and_then_looked_at_beside_the_calls(clock: Clock) -> None:
    pair = Pair()
    gone = pair.services["one:1"]
    gone.fault = lambda number, request: "request lost"
    gone.says_ready = False
    assert await pair.addresses(6) == ["two:2"] * 6
    assert pair.starts("one:1") == 1
    clock.now += 5
    assert await pair.addresses(2) == ["two:2"] * 2  # it was looked at, and is not ready
    gone.fault = lambda number, request: None
    gone.says_ready = True
    clock.now += 60
    await pair.addresses(1)
    await asyncio.sleep(0.01)
    assert set(await pair.addresses(2)) == {"one:1", "two:2"}


async def test_a_service_that_refuses_is_left_alone_for_the_time_it_named(clock: Clock) -> None:
    pair = Pair()
    pair.services["one:1"].max_streams = 0
    assert await pair.addresses(5) == ["two:2"] * 5
    assert pair.starts("one:1") == 1
    clock.now += 2.1
    pair.services["one:1"].max_streams = 10
    assert "one:1" in await pair.addresses(2)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (
            "UNAVAILABLE",
            "Server is stopping, scheduler for model has stopped accepting new inference requests",
            ServerFull,
        ),
        ("NOT_FOUND", "Request for unknown model: 'streaming_asr' has no available versions", ConnectionFailed),
        ("INTERNAL", "Stub process 'streaming_asr_0_0' is not healthy.", ConnectionFailed),
        ("UNAVAILABLE", "this server takes no new streams [tritone:draining retry_after_s=2 live=3]", ServerFull),
    ],
)
def test_a_server_on_its_way_out_is_no_reason_to_give_a_call_up(status: str, message: str, kind: type) -> None:
    assert type(from_status(status, message, "a:1")) is kind
