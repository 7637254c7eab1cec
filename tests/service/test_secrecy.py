"""What the service writes down about calls: no word, no audio, no key."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from tests.service.guarded import words
from tests.service.raw import new_id

pytestmark = [pytest.mark.triton, pytest.mark.timeout(120)]


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
