from pathlib import Path

import numpy as np
import pytest
import soundfile
from tritone_bench.calls import CHUNK_BYTES, default_audio, load_clips, make_calls
from tritone_bench.errors import UsageError

pytestmark = pytest.mark.unit


def test_calls_are_whole_chunks_of_the_recordings_and_reproducible() -> None:
    clips = load_clips(default_audio())
    calls = make_calls(clips, count=5, seconds=12.0, pauses=True)
    assert {len(chunk) for call in calls for chunk in call.chunks} == {CHUNK_BYTES}
    assert all(9.0 <= call.seconds <= 15.0 for call in calls)
    assert len({b"".join(call.chunks) for call in calls}) == 5
    again = make_calls(load_clips(default_audio()), count=5, seconds=12.0, pauses=True)
    assert [call.chunks for call in calls] == [call.chunks for call in again]


def test_pauses_and_none() -> None:
    clips = load_clips(default_audio())
    with_pauses = make_calls(clips, count=10, seconds=20.0, pauses=True)
    without = make_calls(clips, count=10, seconds=20.0, pauses=False)
    share = np.mean([call.speech_share for call in with_pauses])
    assert 0.4 < share < 0.9
    assert all(call.speech_share == 1.0 for call in without)
    quiet = [np.abs(np.frombuffer(b"".join(call.chunks), "<i2")).reshape(-1, 240).max(1) < 10 for call in with_pauses]
    assert 0.1 < np.mean(np.concatenate(quiet)) < 0.6


def test_recordings_of_other_rates(tmp_path: Path) -> None:
    tone = np.sin(np.arange(16_000) / 20).astype(np.float32) / 2
    soundfile.write(tmp_path / "wide.wav", tone, 16_000)
    ((name, samples),) = load_clips(tmp_path)
    assert (name, len(samples), samples.dtype) == ("wide", 8000, np.int16)
    soundfile.write(tmp_path / "wide.wav", tone, 44_100)
    with pytest.raises(UsageError, match="no recordings of 8000 or 16000 Hz"):
        load_clips(tmp_path)


def test_what_is_no_audio(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF and nothing else")
    with pytest.raises(UsageError, match=r"broken\.wav cannot be read as audio"):
        load_clips(tmp_path)
    with pytest.raises(UsageError):
        load_clips(tmp_path / "missing.wav")
