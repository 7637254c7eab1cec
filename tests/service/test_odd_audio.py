"""Audio that is no speech: silence, clipping, a constant, noise; a phrase that never ends. Bounded, and no error."""

import asyncio

import numpy as np
import pytest
from tritone_backend.serve import running_server
from tritone_client import Client, Final

pytestmark = pytest.mark.triton
SECONDS = 8000


@pytest.fixture(scope="module")
def beam_server():
    with running_server(max_streams=8, decoder="beam", final_deadline_ms=30_000, admission="slots") as running:
        yield running


async def finals(client: Client, samples: np.ndarray, **options) -> list[Final]:
    async with client.stream(words=True, **options) as stream:
        events = []
        for begin in range(0, len(samples), 40 * 2400):
            events += await stream.send(samples[begin : begin + 40 * 2400].tobytes())
        events += await stream.finish()
    return [event for event in events if isinstance(event, Final)]


async def test_audio_without_words(beam_server):
    rng = np.random.default_rng(0)
    tone = np.sin(np.arange(10 * SECONDS) * 2 * np.pi * 300 / SECONDS)
    odd = {
        "silence": np.zeros(10 * SECONDS),
        "constant": np.full(10 * SECONDS, 12_000),
        "clipped tone": np.clip(tone * 1e6, -32768, 32767),
        "noise": rng.normal(0, 8000, 10 * SECONDS).clip(-32768, 32767),
    }
    async with Client(beam_server.address) as client:
        for name, samples in odd.items():
            found = await finals(client, samples.astype(np.int16), hotwords=["тинькоф", "ипотека"])
            words = [word for final in found for word in final.words]
            assert len(words) <= 20, (name, [final.text for final in found])
            assert all(0 <= word.start <= word.end <= 11 for word in words), name
            assert name != "silence" or not found


async def test_speech_without_a_pause_is_cut_and_loses_nothing(beam_server, recordings):
    """Three minutes at which the endpointer never sees ten seconds of silence: cut every 60 s."""
    speech = np.concatenate(list(recordings.values()))
    samples = np.resize(speech, 180 * SECONDS)
    async with Client(beam_server.address) as client:
        found = await asyncio.wait_for(finals(client, samples, endpointing_ms=10_000), 120)
    lengths = [final.end - final.start for final in found]
    assert len(found) >= 3
    assert max(lengths) <= 60.1
    assert sum(len(final.words) for final in found) > 150
