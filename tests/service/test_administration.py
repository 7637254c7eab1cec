"""What callers cannot reach: administration, drains, shared memory, other ports."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest
from tritonclient.utils import InferenceServerException
from tritone_backend.serve.drain import drain, tell
from tritone_backend.serve.probe import probe

from tests.service.raw import Raw, new_id

pytestmark = [pytest.mark.triton, pytest.mark.timeout(120)]


async def test_health_checks_get_in_with_what_serve_left_for_them_and_only_so(site):
    assert probe(site.server.address, 5, site.server.credentials).alive
    assert not probe(site.server.address, 2).alive
    async with site.raw() as nobody:
        with pytest.raises(InferenceServerException, match="tritone:unauthenticated"):
            await nobody.audio(new_id(), bytes(4800), start=True, end=True, probe=True)
    command = [sys.executable, "-m", "tritone_backend.serve.healthcheck", site.server.address]
    for state, status in ((site.state, 0), (site.state / "elsewhere", 1)):
        ran = subprocess.run(
            command, env={**os.environ, "XDG_STATE_HOME": str(state)}, capture_output=True, text=True, check=False
        )
        assert ran.returncode == status, ran.stdout + ran.stderr


ADMIN = {
    "load": lambda client: client.load_model("streaming_asr"),
    "unload": lambda client: client.unload_model("streaming_asr"),
    "repository index": lambda client: client.get_model_repository_index(),
    "register shared memory": lambda client: client.register_system_shared_memory("r", "/tritone", 64),
    "unregister shared memory": lambda client: client.unregister_system_shared_memory(),
    "list shared memory": lambda client: client.get_system_shared_memory_status(),
    "register device memory": lambda client: client.register_cuda_shared_memory("r", b"aGFuZGxl", 0, 64),
    "list device memory": lambda client: client.get_cuda_shared_memory_status(),
    "trace": lambda client: client.update_trace_settings(settings={"trace_level": "TIMESTAMPS"}),
    "log": lambda client: client.update_log_settings({"log_file": "/tmp/x", "log_verbose_level": 9}),
}
WITH_KEYS = {
    "statistics": lambda client: client.get_inference_statistics(),
    "configuration": lambda client: client.get_model_config("streaming_asr"),
}


@pytest.mark.parametrize("name", [*ADMIN, *WITH_KEYS])
async def test_no_caller_can_administer_the_server(site, name):
    async with site.raw("plain") as caller:
        with pytest.raises(InferenceServerException, match="This protocol is restricted"):
            await {**ADMIN, **WITH_KEYS}[name](caller.client)
        assert await caller.client.is_model_ready("streaming_asr")


@pytest.mark.parametrize("name", ADMIN)
async def test_no_caller_can_administer_an_open_server_either(server, name):
    async with Raw(server.address) as caller:
        with pytest.raises(InferenceServerException, match="This protocol is restricted"):
            await ADMIN[name](caller.client)


@pytest.mark.parametrize("key", ["", "x", "ю" * 64])
async def test_no_caller_can_drain_the_server(site, key):
    async with site.raw("plain") as caller:
        with pytest.raises(InferenceServerException, match="tritone:bad-option"):
            await caller.audio(new_id(), bytes(4800), start=True, end=True, probe=True, drain="begin", admin_key=key)
        assert await caller.audio(new_id(), start=True, end=True) == []


def test_who_serves_can_drain_through_tls_and_keys_and_take_it_back(site):
    drained = drain(site.server.address, site.server.credentials, 5.0)
    try:
        assert drained.emptied or drained.ended  # calls that tests before this one left to the reaper
        refusal = probe(site.server.address, 5, site.server.credentials).detail
        assert "[tritone:draining" in refusal
    finally:
        tell(site.server.address, site.server.credentials, "undo")
    assert probe(site.server.address, 5, site.server.credentials).detail == ""


async def test_an_input_in_shared_memory_that_nobody_registered_is_refused(server):
    import tritonclient.grpc.aio as triton

    async with Raw(server.address) as caller:
        tensor = triton.InferInput("audio", [1, 64], "UINT8")
        tensor.set_shared_memory("region", 64)
        with pytest.raises(InferenceServerException, match="region"):
            await caller.client.infer("streaming_asr", [tensor], sequence_id=new_id(), sequence_start=True)


def test_the_server_listens_on_loopback_and_on_two_ports_only(site):
    pids = [site.server.pid, *site.server.stub_pids()]
    listening = {
        (connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)
        for pid in pids
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    settings = site.server.settings
    assert listening == {("127.0.0.1", settings.grpc_port), ("127.0.0.1", settings.metrics_port)}
