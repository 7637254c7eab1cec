"""Bytes to chunks: companding, splitting, resampling, padding, bad samples."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tritone_backend import g711
from tritone_backend.audio import AudioBuffer
from tritone_backend.errors import Code, StreamError

pytestmark = pytest.mark.unit


def drain(buffer: AudioBuffer) -> np.ndarray:
    chunks = []
    while buffer.pending_chunks:
        chunks.append(buffer.take_chunk().copy())
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int16)


@pytest.mark.parametrize(("table", "subtype"), [(g711.MULAW, "ULAW"), (g711.ALAW, "ALAW")])
def test_companding_tables_agree_with_libsndfile(table, subtype):
    codes = bytes(range(256))
    samples, _ = soundfile.read(
        io.BytesIO(codes), format="RAW", subtype=subtype, channels=1, samplerate=8000, dtype="int16"
    )
    assert np.array_equal(table, samples)


def test_a_stream_is_framed_by_the_trained_padding(spec):
    buffer = AudioBuffer(spec, "pcm_s16le", 8000)
    signal = np.arange(1, 3001, dtype="<i2")
    buffer.feed(signal.tobytes())
    buffer.finish()
    heard = drain(buffer)
    assert len(heard) == 2400 + 2 * 2400 + 2400
    assert not heard[:2400].any()
    assert np.array_equal(heard[2400:5400], signal)
    assert not heard[5400:].any()


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 12_000), max_size=12),
    encoding=st.sampled_from(["pcm_s16le", "pcm_f32le", "mulaw", "alaw"]),
)
def test_any_split_of_the_bytes_gives_the_same_chunks(spec, cuts, encoding):
    rng = np.random.default_rng(1)
    if encoding == "pcm_f32le":
        data = rng.uniform(-1.2, 1.2, 3000).astype("<f4").tobytes()
    else:
        data = rng.integers(0, 256, 12_000, dtype=np.uint8).tobytes()
    whole = AudioBuffer(spec, encoding, 8000)
    whole.feed(data)
    whole.finish()
    pieces = AudioBuffer(spec, encoding, 8000)
    heard = []
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for begin, end in zip(edges, edges[1:], strict=False):
        pieces.feed(data[begin:end])
        heard.append(drain(pieces))
    pieces.finish()
    heard.append(drain(pieces))
    assert np.array_equal(np.concatenate(heard), drain(whole))


@pytest.mark.parametrize("rate", [8001, 11025, 16000, 44100, 48000])
def test_resampling_in_pieces_equals_resampling_at_once(spec, rate):
    seconds = 2.0
    time = np.arange(int(rate * seconds)) / rate
    tone = (0.5 * np.sin(2 * np.pi * 440 * time) * 32767).astype("<i2").tobytes()
    whole, pieces = AudioBuffer(spec, "pcm_s16le", rate), AudioBuffer(spec, "pcm_s16le", rate)
    whole.feed(tone)
    whole.finish()
    for begin in range(0, len(tone), 777):
        pieces.feed(tone[begin : begin + 777])
    pieces.finish()
    expected, got = drain(whole), drain(pieces)
    assert len(expected) == len(got)
    assert np.abs(expected.astype(int) - got).max() <= 1  # soxr sums in another order per block size
    inner = got[2400 + 4000 : 2400 + 12000].astype(float)
    spectrum = np.abs(np.fft.rfft(inner * np.hanning(len(inner))))
    assert abs(spectrum.argmax() - 440) <= 1  # 8000 samples: bins of 1 Hz
    assert abs(np.abs(inner).max() / 32767 - 0.5) < 0.01


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_floats_that_are_not_finite_are_refused_and_change_nothing(spec, bad):
    buffer = AudioBuffer(spec, "pcm_f32le", 8000)
    good = np.full(1200, 0.25, "<f4")
    buffer.feed(good.tobytes())
    with pytest.raises(StreamError) as caught:
        buffer.feed(np.array([0.1, bad], "<f4").tobytes())
    assert caught.value.code is Code.BAD_AUDIO
    buffer.feed(good.tobytes())
    heard = drain(buffer)
    assert len(heard) == 4800
    assert (heard[2400:] == round(0.25 * 32767)).all()
