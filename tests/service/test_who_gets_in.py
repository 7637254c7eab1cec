"""A real tritonserver with mutual TLS and keys: who is served, with how many streams, and for how long."""

from __future__ import annotations

import asyncio

import grpc
import numpy as np
import pytest
from tritonclient.utils import InferenceServerException
from tritone_backend.access.keyfile import edit_keys
from tritone_client import Client, ConnectionFailed, Forbidden, ServerFull, Tls, Unauthenticated
from tritone_client._grpc import GrpcTransport
from tritone_client._transport import InferRequest

from tests.service.guarded import LIMIT, ONCE, words
from tests.service.raw import new_id

pytestmark = [pytest.mark.triton, pytest.mark.timeout(120)]


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


def test_keys_never_travel_in_the_clear_to_a_server_without_tls(site):
    with pytest.raises(grpc.RpcError):  # the port speaks TLS alone
        grpc.insecure_channel(site.server.address).unary_unary("/inference.GRPCInferenceService/ServerLive")(
            b"", timeout=3
        )
