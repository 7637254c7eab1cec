"""Neighbours, interleaving and batch size change nothing: 64 streams at once against each one alone."""

import asyncio
import random

import numpy as np
import pytest
from tritone_backend.profiling.names import DEGRADATIONS
from tritone_backend.serve import running_server
from tritone_client import Client, Event, Final, Partial

from tests.service.raw import Raw, new_id
from tests.service.test_admission import gauge

pytestmark = pytest.mark.triton


def chunks_of(samples: np.ndarray) -> np.ndarray:
    return np.concatenate([samples, np.zeros(-len(samples) % 2400, np.int16)]).reshape(-1, 2400)


async def logprobs(raw: Raw, samples: np.ndarray, rng: random.Random | None) -> np.ndarray:
    """Stream through `streaming_acoustic`; with ``rng``, pausing at random so that batches mix at random."""
    stream, chunks, rows = new_id(), chunks_of(samples), []
    for i, chunk in enumerate(chunks):
        if rng:
            await asyncio.sleep(rng.uniform(0, 0.03))
        rows.append(await raw.chunk(stream, chunk, start=i == 0, end=i == len(chunks) - 1))
    return np.array(rows)


async def test_log_probs_of_64_interleaved_streams_are_those_of_each_alone(server, mixtures):
    rng = random.Random(1)
    async with Raw(server.address) as raw:
        together = await asyncio.gather(*(logprobs(raw, call, rng) for call in mixtures))
        worst = 0.0
        for call, got in zip(mixtures, together, strict=True):
            alone = await logprobs(raw, call, None)
            worst = max(worst, float(np.abs(alone - got).max()))
    print(f"largest difference of a log-prob: {worst:.2e}")
    assert worst <= 1e-4


@pytest.fixture(scope="module", params=["greedy", "beam"])
def decoding_server(request):
    """One server a decoder. Answers may wait for the beam as long as they need: what is compared must not be chance."""
    patient = {"final_deadline_ms": 60_000, "partial_deadline_ms": 60_000}
    with running_server(
        max_streams=96, decoder=request.param, admission="slots", idle_timeout_s=60.0, **patient
    ) as running:
        yield running


async def events(client: Client, samples: np.ndarray, rng: random.Random | None) -> list[Event]:
    data, found, position = samples.tobytes(), [], 0
    async with client.stream(words=True) as stream:
        while position < len(data):
            size = rng.randrange(1, 9600) if rng else 4800
            if rng:
                await asyncio.sleep(rng.uniform(0, 0.02))
            found += await stream.send(data[position : position + size])
            position += size
        found += await stream.finish()
    return found


async def test_partials_and_finals_of_64_interleaved_streams_are_those_of_each_alone(decoding_server, mixtures):
    rng = random.Random(2)
    async with Client(decoding_server.address) as client:
        together = await asyncio.gather(*(events(client, call, rng) for call in mixtures))
        alone = [await events(client, call, None) for call in mixtures]
    spoken = [event for call in alone for event in call]
    assert sum(isinstance(event, Final) for event in spoken) >= 64
    assert sum(isinstance(event, Partial) for event in spoken) >= 640
    for one, other in zip(together, alone, strict=True):
        assert one == other  # words, times and confidences too
    for reason in DEGRADATIONS:
        assert gauge(decoding_server, "tritone_degraded_total", f'reason="{reason}"') == 0
    assert gauge(decoding_server, "tritone_late_partials_total") == 0
