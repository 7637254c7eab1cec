"""Fixtures of the client's tests: a fake service, a client on it, and time that passes only while one
waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tritone_client import Client, Timeouts, _waiting

from tests.client.fake_server import serve_from_thread
from tests.client.fake_service import FakeService, FakeTransport


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(_waiting, "now", lambda: clock.now)
    monkeypatch.setattr(_waiting, "sleep", clock.sleep)
    return clock


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def client(service: FakeService) -> Client:
    return Client("fake:1", timeout=Timeouts(), transport=lambda address: FakeTransport(service, address))


@pytest.fixture
def server(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The fake service behind a real gRPC server, whose address the command line takes for its default."""
    with serve_from_thread(service) as address:
        monkeypatch.setenv("TRITONE_SERVER", address)
        yield address
