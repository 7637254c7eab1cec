"""The engine process that several instances share is killed in the middle of calls: no word is lost."""

import asyncio
import signal
import subprocess
import sys
import time

import psutil
import pytest
from tritone_backend.serve.ports import free_ports
from tritone_client import Client, Final

pytestmark = [pytest.mark.triton, pytest.mark.timeout(120)]

CHUNK_BYTES, CHUNK_S = 4800, 0.3
KILLED_AFTER_S = 2.0
RECOVERED_WITHIN_S = 30.0
CALLS = 4
PROGRAM = """
import argparse, sys
from tritone_backend.serve import cli
parser = argparse.ArgumentParser()
cli.configure(parser)
sys.exit(cli.run(parser.parse_args()))
"""


@pytest.fixture
def served(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    grpc_port, metrics_port = free_ports(2)
    options = ["--instances", "2", "--threads", "1", "--max-streams", "8", "--admission", "slots"]
    options += ["--final-deadline", "5000", "--drain-timeout", "0"]  # words must not depend on how busy this machine is
    ports = ["--grpc-port", str(grpc_port), "--metrics-port", str(metrics_port)]
    command = [sys.executable, "-c", PROGRAM, *options, *ports]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "ready" in process.stdout.readline()
            yield process, f"127.0.0.1:{grpc_port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def engine_process(server: subprocess.Popen[str]) -> psutil.Process:
    found = [
        child for child in psutil.Process(server.pid).children(recursive=True)
        if "tritone_backend.engines.shared.host" in child.cmdline()
    ]  # fmt: skip
    assert len(found) == 1  # several instances share one unless told otherwise
    return found[0]


async def paced(audio: bytes):
    """The audio at the speed of speech."""
    begin = time.monotonic()
    for number, at in enumerate(range(0, len(audio), CHUNK_BYTES)):
        await asyncio.sleep(max(0.0, begin + number * CHUNK_S - time.monotonic()))
        yield audio[at : at + CHUNK_BYTES]


async def finals(client: Client, audio: bytes) -> list[str]:
    return [event.text async for event in client.transcribe(paced(audio)) if isinstance(event, Final)]


async def test_a_killed_engine_process_costs_no_word(served, speech):
    process, address = served
    async with Client(address) as client:
        undisturbed = await finals(client, speech)
        assert undisturbed
        calls = [asyncio.create_task(finals(client, speech)) for _ in range(CALLS)]
        await asyncio.sleep(KILLED_AFTER_S)
        first = engine_process(process)
        first.kill()
        killed = time.monotonic()
        heard = await asyncio.wait_for(asyncio.gather(*calls), RECOVERED_WITHIN_S)
        assert heard == [undisturbed] * CALLS
        assert engine_process(process).pid != first.pid
        assert time.monotonic() - killed < RECOVERED_WITHIN_S
