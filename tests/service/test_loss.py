"""A server that dies in mid-call: `tritone serve` brings it back and the client's text is the undisturbed one."""

import asyncio
import os
import signal
import subprocess
import sys

import psutil
import pytest
from tritone_backend.serve import running_server
from tritone_backend.serve.ports import free_ports
from tritone_client import Client, Final

pytestmark = [pytest.mark.triton, pytest.mark.slow]


async def call(addresses, samples: bytes, pause: float, disturb=None) -> list[Final]:
    """Stream a recording; ``disturb(i)`` runs before chunk i."""
    events = []
    async with Client(addresses) as client, client.stream(words=True, endpointing_ms=300) as stream:
        for i, begin in enumerate(range(0, len(samples), 4800)):
            if disturb:
                await disturb(i)
            events += await stream.send(samples[begin : begin + 4800])
            await asyncio.sleep(pause)
        events += await stream.finish()
    return [event for event in events if isinstance(event, Final)]


def essence(finals: list[Final]) -> list[tuple]:
    return [(final.text, final.start, final.end, tuple(word.word for word in final.words)) for final in finals]


@pytest.fixture
def supervised():
    """`tritone serve` as an operator runs it; yields its process and address."""
    grpc_port, metrics_port = free_ports(2)
    command = [sys.executable, "-m", "tritone_client.cli.main", "serve", "--max-streams", "8"]
    command += ["--grpc-port", str(grpc_port), "--metrics-port", str(metrics_port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "ready" in line, line
    yield process, f"127.0.0.1:{grpc_port}"
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    process.stdout.close()


def descendants(process, name: str) -> list[psutil.Process]:
    found = psutil.Process(process.pid).children(recursive=True)
    return [child for child in found if name in child.name()]


@pytest.mark.parametrize("victim", ["tritonserver", "triton_python_b"])
async def test_the_final_text_survives_the_death_of_server_or_stub(supervised, recordings, victim):
    process, address = supervised
    samples = recordings["asterisk-ru-basic-pbx-ivr-main"].tobytes()
    expected = await call(address, samples, 0)
    assert len(expected) > 3

    async def disturb(i):
        if i == 45:  # in the middle, with several phrases final and one open
            for target in descendants(process, victim):
                os.kill(target.pid, signal.SIGKILL)

    assert essence(await call(address, samples, 0.02, disturb)) == essence(expected)


async def test_a_call_moves_to_the_other_server(recordings):
    samples = recordings["asterisk-ru-basic-pbx-ivr-main"].tobytes()
    with running_server(max_streams=4) as one, running_server(max_streams=4) as two:
        expected = await call(one.address, samples, 0)

        async def disturb(i):
            if i == 60:
                one.kill()

        assert essence(await call([one.address, two.address], samples, 0, disturb)) == essence(expected)
