"""A full server refuses clearly, and a vanished client's slots come back within the idle limit."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from tritonclient.utils import InferenceServerException
from tritone_backend.serve import running_server
from tritone_client import Client, Final

from tests.service.raw import Raw, new_id

pytestmark = pytest.mark.triton

IDLE_S = 2.0
STREAMS = 64
CALLER = Path(__file__).with_name("caller.py")


@pytest.fixture(scope="module")
def small():
    with running_server(max_streams=STREAMS + 1, idle_timeout_s=IDLE_S, admission="slots") as running:
        yield running


def gauge(server, name: str, label: str = "") -> float:
    """A metric of streaming_asr on the server's /metrics page."""
    with urllib.request.urlopen(server.settings.metrics_url, timeout=5) as page:
        for line in page.read().decode().splitlines():
            if line.startswith(name + "{") and 'model="streaming_asr"' in line and label in line:
                return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no metric {name}")


async def live(server, wanted: int, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while (now := gauge(server, "tritone_streams_live")) != wanted:
        assert time.monotonic() < deadline, f"{now:g} streams are live, not {wanted}"
        await asyncio.sleep(0.1)


async def test_a_full_server_refuses_and_admits_again(small):
    async with Raw(small.address) as raw:
        streams = [new_id() for _ in range(STREAMS + 1)]
        await asyncio.gather(*(raw.audio(stream, start=True) for stream in streams))
        with pytest.raises(InferenceServerException, match=r"65 of 65 are taken.*tritone:full retry_after_s=2"):
            await raw.audio(new_id(), start=True)
        await raw.audio(streams[0], end=True)
        replacement = new_id()
        await raw.audio(replacement, start=True)
        await asyncio.gather(*(raw.audio(stream, end=True) for stream in [*streams[1:], replacement]))


@pytest.mark.slow
async def test_ten_rounds_of_64_streams_killed_in_mid_call(small, recordings):
    """The server stays up, the slots come back, and a stream that runs all along loses nothing."""
    samples = recordings["asterisk-ru-basic-pbx-ivr-main"].tobytes()

    async def call(client: Client, pause: float) -> list[Final]:
        events = []
        async with client.stream(endpointing_ms=300) as stream:
            for begin in range(0, len(samples), 4800):
                events += await stream.send(samples[begin : begin + 4800])
                await asyncio.sleep(pause)
            events += await stream.finish()
        return [event for event in events if isinstance(event, Final)]

    async with Client(small.address) as client:
        expected = await call(client, 0)
        assert len(expected) > 3
        pid = small.pid
        pause = 0.6  # seconds between chunks, below the idle limit: the call lasts through all rounds
        witness = asyncio.create_task(call(client, pause))
        for _ in range(10):
            caller = subprocess.Popen(
                [sys.executable, str(CALLER), small.address, str(STREAMS)], stdout=subprocess.PIPE, text=True
            )
            assert caller.stdout is not None
            line = await asyncio.to_thread(caller.stdout.readline)
            assert line.strip() == f"{STREAMS} streams in mid-call"
            await live(small, STREAMS + 1, 3)
            os.kill(caller.pid, signal.SIGKILL)
            caller.wait()
            caller.stdout.close()
            await live(small, 1, IDLE_S + 2)
        assert await witness == expected
    assert small.pid == pid


@pytest.mark.timeout(120)
async def test_thousands_of_refusals_in_a_row_are_all_answered():
    """A refused START keeps its place among Triton's candidates; when these ran out, nobody was answered any more."""
    with running_server(max_streams=1, idle_timeout_s=60.0) as server:
        async with Raw(server.address) as raw:
            await raw.audio(new_id(), start=True)
            for _ in range(40):
                answers = (raw.audio(new_id(), start=True) for _ in range(50))
                refusals = await asyncio.wait_for(asyncio.gather(*answers, return_exceptions=True), 20)
                assert all("[tritone:full" in str(refusal) for refusal in refusals)


async def test_a_call_ends_when_it_has_lasted_as_long_as_is_allowed(tmp_path, speech):
    with running_server(max_streams=2, max_call_s=1.0, runtime_dir=tmp_path) as server:
        async with Raw(server.address) as raw:
            stream, other = new_id(), new_id()
            heard = await raw.audio(stream, speech, start=True)
            await raw.audio(other, start=True)
            await asyncio.sleep(1.1)
            with pytest.raises(InferenceServerException, match=r"lasted 1 s, which is the most: .*:too-long\]"):
                await raw.audio(stream, speech)
            heard += await raw.audio(stream, end=True)  # nothing that was said is lost
            assert [e["text"] for e in heard if e["type"] == "final"]
            await raw.audio(other, end=True)
