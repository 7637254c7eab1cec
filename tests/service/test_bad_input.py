"""What a client can get wrong: one clear error each, and a stream beside it that notices nothing."""

import asyncio
import json

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from tests.service.raw import Raw, new_id

pytestmark = pytest.mark.triton

SILENCE = bytes(4800)


@pytest.fixture
async def raw(server):
    async with Raw(server.address) as connection:
        yield connection


@pytest.fixture
async def bystander(server, recordings):
    """Streams a recording slowly while the test misbehaves, and checks its words at the end."""
    samples = recordings["asterisk-ru-conf-invalid"].tobytes()

    async def call(raw, pause):
        stream, events = new_id(), []
        for begin in range(0, len(samples), 4800):
            events += await raw.audio(stream, samples[begin : begin + 4800], start=begin == 0)
            await asyncio.sleep(pause)
        return [e for e in events + await raw.audio(stream, end=True) if e["type"] == "final"]

    async with Raw(server.address) as raw:
        expected = await call(raw, 0)
        assert expected
        running = asyncio.create_task(call(raw, 0.02))
        yield
        assert await running == expected


async def refused(answer, match: str) -> str:
    with pytest.raises(InferenceServerException, match=match) as caught:
        await answer
    message = caught.value.message()
    assert "\n" not in message
    assert "Traceback" not in message
    assert ".py" not in message
    return message


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"encoding": "mp3"}, "unknown encoding 'mp3': known are .*bad-option"),
        ({"sample_rate": 0}, "sample_rate must be 8000 to 48000 Hz, not 0"),
        ({"sample_rate": 96_000}, "sample_rate must be"),
        ({"sample_rate": "8000"}, "sample_rate must be an integer"),
        ({"endpointing_ms": -1}, "endpointing_ms must be"),
        ({"max_phrase_ms": 10**12}, "max_phrase_ms must be"),
        ({"words": 1}, "words must be true or false"),
        ({"volume": 11}, "unknown option 'volume': known are"),
        ({"hotwords": "тритон"}, "hotwords must be a JSON list"),
        ({"hotwords": '["iPhone 15"]'}, "hotwords must be spelt as they sound.*'1', '5'.*write digits and Latin"),
        ({"hotwords": json.dumps(["тритон"] * 10_000)}, "hotwords (are 10000|have [0-9]+ characters), at most"),
        ({"hotwords": '[{"word": "тритон", "boost": 100}]'}, "hotwords take a boost of 0.1 to 5"),
    ],
)
async def test_bad_options(raw, bystander, options, match):
    await refused(raw.audio(new_id(), SILENCE, start=True, **options), match)


async def test_a_sequence_that_was_never_started(raw, bystander):
    await refused(raw.audio(new_id(), SILENCE), "START flag|unknown-stream")


async def test_a_second_start(raw, bystander):
    stream = new_id()
    await raw.audio(stream, SILENCE, start=True)
    await refused(raw.audio(stream, SILENCE, start=True), "duplicate-start")
    await raw.audio(stream, SILENCE, end=True)


async def test_data_after_end(raw, bystander):
    stream = new_id()
    await raw.audio(stream, SILENCE, start=True, end=True)
    await refused(raw.audio(stream, SILENCE), "START flag|unknown-stream")


async def test_samples_that_are_no_numbers(raw, bystander):
    stream = new_id()
    await raw.audio(stream, np.zeros(100, "<f4").tobytes(), start=True, encoding="pcm_f32le")
    for bad in (np.nan, np.inf, -np.inf):
        await refused(raw.audio(stream, np.array([0.0, bad], "<f4").tobytes()), "NaN or infinite .*bad-audio")
    await raw.audio(stream, np.full(2400, 1e30, "<f4").tobytes(), end=True)


async def test_a_hundred_megabytes_in_one_request(raw, bystander):
    await refused(raw.audio(new_id(), bytes(100_000_000), start=True), "send smaller pieces .*too-large")


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("FP32", (1, 2400, 1)), ("INT32", (1, 1200, 1)), ("INT32", (1, 2400)), ("INT32", (2, 2400, 1))],
)
async def test_wrong_type_or_shape_of_a_chunk(raw, bystander, dtype, shape):
    await refused(raw.chunk(new_id(), np.zeros(shape), start=True, dtype=dtype, shape=shape), "signal|batch")


async def test_samples_beyond_16_bits_are_clipped_and_stay_in_their_stream(raw, bystander):
    wild = np.random.default_rng(0).integers(-(2**31), 2**31 - 1, 2400)
    stream, other = new_id(), new_id()
    rows = [await raw.chunk(stream, wild, start=i == 0) for i in range(3)]
    assert np.isfinite(rows).all()
    clipped = [await raw.chunk(other, np.clip(wild, -32768, 32767), start=i == 0) for i in range(3)]
    assert np.allclose(rows, clipped, atol=1e-4)


async def test_an_empty_stream_has_no_words(raw):
    assert await raw.audio(new_id(), start=True, end=True) == []


async def test_stage_times_come_when_asked_for(raw):
    stream = new_id()
    _, timing = await raw.audio(stream, SILENCE, start=True, timing=True)
    config = await raw.client.get_model_config("streaming_asr", as_json=True)
    names = config["config"]["parameters"]["timing_names"]["string_value"].split(",")
    stages = dict(zip(names, timing[0].tolist(), strict=True))
    assert stages["network"] > 100  # microseconds; a step of the default model takes milliseconds
    assert all(0 <= value < 5e6 for value in stages.values())
    assert await raw.audio(stream, end=True) == []
