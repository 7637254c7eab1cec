"""Draining over the real adapters and a tiny network: `tritone drain`, a stop that waits, what is refused meanwhile."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tritone_backend.serve import ServeError, running_server
from tritone_backend.serve.credentials import Credentials
from tritone_backend.serve.drain import drain, tell
from tritone_backend.serve.healthcheck import main as healthcheck
from tritone_backend.serve.ports import free_ports
from tritone_backend.serve.probe import ACOUSTIC, probe
from tritone_client import Client, ServerFull, Timeouts
from tritone_client.cli.main import main

from tests.serve.tiny_model import write_model
from tests.service.raw import Raw, new_id

pytestmark = [pytest.mark.triton, pytest.mark.timeout(120)]
CHUNK = bytes(4800)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def server(model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with running_server(model, max_streams=4, engine="onnxruntime", threads=1) as running:
        yield running


def test_a_drain_waits_for_both_models_and_can_be_taken_back(server, capsys):
    async def run():
        async with Raw(server.address) as raw, Client(server.address, timeout=Timeouts(admission=0.0)) as client:
            stream, chunks = new_id(), new_id()
            await raw.audio(stream, CHUNK, start=True)
            await raw.chunk(chunks, np.zeros(2400), start=True)
            assert await asyncio.to_thread(tell, server.address, server.credentials, "begin") == 2
            with pytest.raises(ServerFull, match="go to another") as refused:
                async with client.stream():
                    pytest.fail("admitted")
            assert refused.value.retry_after_s == 2
            for name in ("streaming_asr", ACOUSTIC):
                result = await asyncio.to_thread(probe, server.address, 5.0, server.credentials, name)
                assert (result.alive, result.ready) == (True, False)
            assert healthcheck([server.address]) == 0
            assert healthcheck([server.address, "--ready"]) == 1
            draining = asyncio.create_task(asyncio.to_thread(drain, server.address, server.credentials, 30.0))
            await asyncio.sleep(1.0)
            assert await raw.audio(stream, CHUNK, end=True) == []
            await raw.chunk(chunks, np.zeros(2400), end=True)
            result = await asyncio.wait_for(draining, 5)
            assert (result.emptied, result.ended) == (True, 0)
            assert main(["drain", "--undo", server.address]) == 0
            assert healthcheck([server.address, "--ready"]) == 0
            async with client.stream() as again:
                await again.finish()

    asyncio.run(run())
    assert "takes new streams again" in capsys.readouterr().out


def test_streams_that_outlast_the_drain_are_ended_and_the_command_says_so(server, capsys):
    async def run():
        async with Raw(server.address) as raw:
            stream = new_id()
            await raw.audio(stream, CHUNK, start=True)
            assert await asyncio.to_thread(main, ["drain", server.address, "--timeout", "1"]) == 1
            with pytest.raises(Exception, match="draining"):
                await raw.audio(stream, CHUNK)
            assert await asyncio.to_thread(main, ["drain", server.address, "--timeout", "1"]) == 0

    asyncio.run(run())
    shown = capsys.readouterr()
    assert "takes no new streams; 1 calls were ended after 1 s" in shown.out
    assert re.search(r"1 calls still run, 0 of 1 s", shown.err)
    assert re.search(r"is empty after 0\.\d s", shown.out)


def test_nobody_drains_with_another_secret(server, tmp_path, capsys):
    with pytest.raises(ServeError, match="a drain needs the admin key"):
        tell(server.address, Credentials(admin="0" * 64), "begin")
    assert probe(server.address).ready
    assert main(["drain", "127.0.0.1:1"]) == 2
    assert "does not let anybody drain 127.0.0.1:1" in capsys.readouterr().err


class Served:
    """`tritone serve` as an operator runs it."""

    def __init__(self, model, *options):
        grpc_port, metrics_port = free_ports(2)
        command = [
            sys.executable,
            "-m",
            "tritone_client.cli.main",
            "serve",
            "--model",
            str(model),
            "--max-streams",
            "4",
        ]
        command += ["--grpc-port", str(grpc_port), "--metrics-port", str(metrics_port), *options]
        self.address = f"127.0.0.1:{grpc_port}"
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "ready" in self.process.stdout.readline()

    def end(self):
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


@pytest.fixture
def served(model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    started = []

    def start(*options):
        started.append(Served(model, *options))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def test_a_stop_waits_for_running_streams(served):
    one = served("--drain-timeout", "30")

    async def run():
        async with Raw(one.address) as raw:
            stream = new_id()
            await raw.audio(stream, CHUNK, start=True)
            one.process.send_signal(signal.SIGTERM)
            for _ in range(4):
                await asyncio.sleep(0.5)
                assert await raw.audio(stream, CHUNK) == []
            with pytest.raises(Exception, match="tritone:draining"):
                await raw.audio(new_id(), CHUNK, start=True)
            assert await raw.audio(stream, CHUNK, end=True) == []

    asyncio.run(run())
    status, err = one.end()
    assert status == 0, err
    assert "event=draining streams=1 timeout_s=30" in err
    assert re.search(r"event=drained emptied=True moved=0 seconds=\d", err)


def test_a_stop_does_not_wait_longer_than_it_was_told(served):
    one = served("--drain-timeout", "1")

    async def run():
        async with Raw(one.address) as raw:
            await raw.audio(new_id(), CHUNK, start=True)
            began = time.monotonic()
            one.process.send_signal(signal.SIGTERM)
            status, err = await asyncio.to_thread(one.end)
            assert status == 0, err
            assert "event=drained emptied=False moved=1" in err
            assert time.monotonic() - began < 15

    asyncio.run(run())
