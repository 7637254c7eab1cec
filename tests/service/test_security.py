"""A real tritonserver with mutual TLS and keys: who gets in, what callers cannot reach, what logs keep."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
from tritonclient.utils import InferenceServerException
from tritone_backend.access.keyfile import edit_keys
from tritone_backend.access.keys import Key, digest, new_token
from tritone_backend.serve import ServerProcess, running_server
from tritone_backend.serve.drain import drain, tell
from tritone_backend.serve.probe import probe
from tritone_backend.serve.tls import TlsFiles
from tritone_client import Client, ConnectionFailed, Final, Forbidden, ServerFull, Timeouts, Tls, Unauthenticated
from tritone_client._grpc import GrpcTransport
from tritone_client._transport import InferRequest

from tests.serve.certificates import Authority
from tests.service.raw import Raw, new_id

pytestmark = [pytest.mark.triton, pytest.mark.timeout(120)]

LIMIT = 3
ONCE = Timeouts(admission=0)


@dataclass
class Site:
    """A locked-down server, and what its callers have."""

    server: ServerProcess
    state: Path
    keys_file: Path
    tls: Tls
    stranger: Tls
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, key: str | None = "plain", tls: Tls | None = None) -> Client:
        return Client(self.server.address, tls=tls or self.tls, api_key=self.tokens.get(key or ""), timeout=ONCE)

    def raw(self, key: str | None = None) -> Raw:
        headers = {"authorization": f"Bearer {self.tokens[key]}"} if key else None
        return Raw(self.server.address, headers, creds=self.tls.channel_credentials())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    inside, clients, others = (Authority(folder, name) for name in ("server", "clients", "others"))
    cert, key = inside.issue("asr", "asr.example.com", "127.0.0.1")
    keys_file = folder / "keys.toml"
    tokens = {name: new_token(name) for name in ("plain", "few", "second", "acoustic", "revoked", "unlisted")}
    with edit_keys(keys_file) as keys:
        for name, limit, model in (
            ("plain", 20, "streaming_asr"),
            ("few", LIMIT, "streaming_asr"),
            ("second", 20, "streaming_asr"),
            ("acoustic", 20, "streaming_acoustic"),
            ("revoked", 20, "streaming_asr"),
        ):
            keys[name] = Key(name, digest(tokens[name]), limit, (model,))
    shown, hidden = clients.issue("caller", "caller.example.com")
    wrong, wrong_key = others.issue("stranger", "stranger.example.com")
    state = folder / "state"
    with running_server(
        max_streams=30,
        idle_timeout_s=20.0,
        tls=TlsFiles(cert, key, clients.path),
        keys_file=keys_file,
        runtime_dir=state / "tritone",
    ) as server:
        yield Site(
            server,
            state,
            keys_file,
            Tls(ca=inside.path, cert=shown, key=hidden),
            Tls(ca=inside.path, cert=wrong, key=wrong_key),
            tokens,
        )


@pytest.fixture
def speech(recordings) -> bytes:
    return recordings["asterisk-ru-conf-invalid"].tobytes()


async def words(client: Client, audio: bytes) -> list[str]:
    pieces = (audio[begin : begin + 4800] for begin in range(0, len(audio), 4800))
    return [event.text async for event in client.transcribe(pieces) if isinstance(event, Final)]


async def test_whoever_has_a_certificate_and_a_key_is_served_as_ever(site, server, speech):
    async with Client(server.address) as plainly, site.client() as client:
        expected = await words(plainly, speech)
        assert expected
        assert await words(client, speech) == expected


async def test_without_a_certificate_of_the_right_authority_nobody_gets_in(site):
    for tls in (Tls(ca=site.tls.ca), site.stranger):
        with pytest.raises(ConnectionFailed, match="client certificate"):
            async with site.client(tls=tls) as client, client.stream():
                pass
    with pytest.raises(ConnectionFailed):
        async with Client(site.server.address, timeout=ONCE) as client, client.stream():
            pass


@pytest.mark.parametrize(("key", "match"), [(None, "asks for an API key"), ("unlisted", "is not valid here")])
async def test_without_a_valid_key_nobody_is_served(site, key, match):
    with pytest.raises(Unauthenticated, match=match) as caught:
        async with site.client(key) as client, client.stream():
            pass
    assert not key or site.tokens[key] not in caught.value.user_message


async def test_both_models_ask_and_each_key_opens_its_own(site):
    chunk = np.zeros(2400)
    async with site.raw() as nobody, site.raw("plain") as plain, site.raw("acoustic") as acoustic:
        for call, match in (
            (nobody.audio(new_id(), start=True), "tritone:unauthenticated"),
            (nobody.chunk(new_id(), chunk, start=True), "tritone:unauthenticated"),
            (plain.chunk(new_id(), chunk, start=True), "tritone:forbidden"),
            (acoustic.audio(new_id(), start=True), "tritone:forbidden"),
        ):
            with pytest.raises(InferenceServerException, match=match):
                await call
        assert (await acoustic.chunk(new_id(), chunk, start=True, end=True)).shape == (10, 35)
        assert await plain.audio(new_id(), start=True, end=True) == []


async def test_a_scope_error_reaches_the_client_as_what_it_is(site):
    with pytest.raises(Forbidden, match="not for streaming_asr"):
        async with site.client("acoustic") as client, client.stream():
            pass


async def test_a_key_has_as_many_streams_as_it_may_and_no_other_key_pays_for_it(site):
    async with site.client("few") as few, site.client("second") as second:
        streams = [few.stream() for _ in range(LIMIT)]
        for stream in streams:
            await stream.__aenter__()
        with pytest.raises(ServerFull, match=f"all its {LIMIT} streams open") as caught:
            async with few.stream():
                pass
        assert caught.value.retry_after_s == 2
        async with second.stream() as other:
            assert await other.finish() == []
        await streams[0].finish()
        async with few.stream() as again:
            await again.finish()
        for stream in streams[1:]:
            assert await stream.finish() == []


async def test_a_stream_id_is_worth_nothing_with_another_key(site, speech):
    """Somebody who learnt the id can neither read, speak nor end the stream through the model."""
    async with site.raw("plain") as owner, site.raw("second") as thief, site.raw() as nobody:
        expected = await owner.audio(new_id(), speech, start=True, end=True)
        stream = new_id()
        half = len(speech) // 2 // 2 * 2
        heard = await owner.audio(stream, speech[:half], start=True)
        for other, match in ((thief, "unknown-stream"), (nobody, "unauthenticated")):
            for _ in range(3):
                with pytest.raises(InferenceServerException, match=match):
                    await other.audio(stream, bytes(4800))
            with pytest.raises(InferenceServerException, match=r"duplicate-start|unauthenticated"):
                await other.audio(stream, bytes(4800), start=True)
        heard += await owner.audio(stream, speech[half:], end=True)
        assert [e for e in heard if e["type"] == "final"] == [e for e in expected if e["type"] == "final"]


async def test_an_end_forged_by_somebody_who_learnt_the_id_costs_the_call_nothing(site, speech):
    """Triton forgets the sequence though the model refuses the END; the client resumes."""
    async with site.client() as client, site.raw("second") as thief:
        expected = await words(client, speech)
        heard = []
        async with client.stream() as stream:
            for number, begin in enumerate(range(0, len(speech), 4800)):
                if number == 4:
                    with pytest.raises(InferenceServerException, match="unknown-stream"):
                        await thief.audio(stream._sequence_id, end=True)
                heard += await stream.send(speech[begin : begin + 4800])
            heard += await stream.finish()
            assert stream.resumed == 1
        assert [event.text for event in heard if isinstance(event, Final)] == expected


async def test_a_forged_parameter_does_not_stand_in_for_the_metadata(site):
    token = f"Bearer {site.tokens['plain']}"
    async with site.raw("acoustic") as acoustic, site.raw() as nobody:
        with pytest.raises(InferenceServerException, match="tritone:forbidden"):
            await acoustic.audio(new_id(), start=True, authorization=token)
        # Without metadata the parameter is as good: whoever has the key has the key.
        assert await nobody.audio(new_id(), start=True, end=True, authorization=token) == []


async def test_a_revoked_key_ends_its_calls(site, speech):
    transport = GrpcTransport(site.server.address, tls=site.tls, api_key=site.tokens["revoked"])
    stream = new_id()
    await transport.infer(InferRequest(stream, speech[:4800], start=True), 10)
    with edit_keys(site.keys_file) as keys:
        del keys["revoked"]
    await asyncio.sleep(1.1)
    with pytest.raises(Unauthenticated, match="revoked"):
        await transport.infer(InferRequest(stream, speech[4800:9600]), 10)
    await transport.close()


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


async def test_neither_words_nor_audio_nor_keys_are_kept_anywhere(site, speech):
    """Everything that the service writes after calls, errors and a flight record: its log, its files, its metrics."""
    async with site.client() as client:
        heard = await words(client, speech)
    spoken = {word for text in heard for word in text.split() if len(word) > 3}
    assert len(spoken) >= 3
    async with site.raw() as nobody, site.raw("plain") as plain:
        secret_option = "тайное-слово"
        for call in (
            nobody.audio(new_id(), speech[:4800], start=True, authorization=f"Bearer {site.tokens['unlisted']}"),
            plain.audio(new_id(), speech[:4800], start=True, encoding=secret_option),
            plain.audio(new_id(), speech[:4800], start=True, hotwords=f'["{secret_option}", 7]'),
            plain.audio(new_id(), np.array([np.nan], "<f4").tobytes(), start=True, encoding="pcm_f32le"),
            plain.chunk(new_id(), np.frombuffer(speech[:4800], "<i2"), start=True),
        ):
            with pytest.raises(InferenceServerException):
                await call
    for pid in site.server.stub_pids():
        os.kill(pid, signal.SIGUSR2)
    deadline = time.monotonic() + 10
    while not (flights := list(site.state.rglob("flight-streaming_asr-*.jsonl"))):
        assert time.monotonic() < deadline, "no flight record was written"
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    log = "\n".join(site.server.log.lines())
    assert "event=rejected" in log, "the log that was looked at is not the service's"
    files = [path for path in site.state.rglob("*") if path.is_file() and path.stat().st_size < 2**22]
    kept = log + "".join(path.read_text(errors="replace") for path in files)
    assert any(flight.stat().st_size > 100 for flight in flights)
    for word in (*spoken, secret_option):
        assert word not in kept, word
        assert word.encode("unicode_escape").decode() not in kept, word
    for token in site.tokens.values():
        assert token not in kept
        assert token.rpartition("_")[2][:16] not in kept
    audio = speech[1000:1064]
    for spelt in (audio.hex(), str(np.frombuffer(audio, "<i2").tolist())[1:60]):
        assert spelt not in kept
    assert "Traceback" not in log


def test_keys_never_travel_in_the_clear_to_a_server_without_tls(site):
    with pytest.raises(grpc.RpcError):  # the port speaks TLS alone
        grpc.insecure_channel(site.server.address).unary_unary("/inference.GRPCInferenceService/ServerLive")(
            b"", timeout=3
        )
