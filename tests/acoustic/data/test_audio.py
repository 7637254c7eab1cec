import numpy as np
import pytest
from tritone_acoustic.data.audio import Clip, read_set, resample, write_set
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.pool import PoolReader, PoolWriter

pytestmark = pytest.mark.unit


def _tone(rate, seconds, frequency):
    return (8000 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


@pytest.mark.parametrize("warp", [1.0, 0.87, 1.15])
def test_resample_moves_a_tone_by_the_warp(warp):
    result = resample(_tone(24_000, 1.0, 1000), 24_000, warp)
    assert abs(len(result) - 8000 / warp) < 90
    spectrum = np.abs(np.fft.rfft(result.astype(float), 8000))
    assert abs(int(spectrum.argmax()) - 1000 * warp) < 12
    middle = result[1000:-1000].astype(float)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(8000 / np.sqrt(2), rel=0.02)


def test_resample_removes_what_8_khz_cannot_hold():
    assert np.abs(resample(_tone(24_000, 0.5, 6000), 24_000)[400:-400]).max() < 80


def test_set_round_trip(tmp_path):
    clips = [Clip("a", "Anna", "один", _tone(8000, 0.5, 300)), Clip("b", "Irina", "два ёж", _tone(8000, 0.3, 500))]
    write_set(clips, tmp_path / "set")
    back = read_set(tmp_path / "set")
    assert [(clip.name, clip.voice, clip.text) for clip in back] == [("a", "Anna", "один"), ("b", "Irina", "два ёж")]
    for before, after in zip(clips, back, strict=True):
        np.testing.assert_array_equal(before.samples, after.samples)


def test_missing_set_says_how_to_make_it(tmp_path):
    with pytest.raises(TrainingDataError, match="bundle"):
        read_set(tmp_path / "none")


def test_pool_hands_out_each_utterance_once_in_whole_lines(tmp_path):
    reader = PoolReader(tmp_path)
    assert list(reader.poll()) == []
    with PoolWriter(tmp_path, 3) as writer:
        writer.append("Anna", "раз", np.arange(5, dtype=np.int16))
        assert list(reader.poll()) == []  # not flushed yet
        writer.flush()
        writer.append("Anna", "два", np.arange(7, dtype=np.int16))
        (first,) = reader.poll()
        assert (first.labels, first.lengths.tolist()) == (["раз"], [5])
    with (tmp_path / "003.tsv").open("a") as stream:
        stream.write("12\t4\tAn")  # a line that is being written
    (second,) = reader.poll()
    assert second.labels == ["два"]
    np.testing.assert_array_equal(second.samples[second.offsets[0] :], np.arange(7))
    assert list(reader.poll()) == []


def test_pool_goes_on_after_a_crashed_writer(tmp_path):
    with PoolWriter(tmp_path, 0) as writer:
        writer.append("Anna", "раз", np.full(4, 1, dtype=np.int16))
    with (tmp_path / "000.pcm").open("ab") as stream:
        stream.write(b"\x07\x07\x07")  # audio without an index line, and half a sample
    with PoolWriter(tmp_path, 0) as writer:
        writer.append("Anna", "два", np.full(6, 2, dtype=np.int16))
    (block,) = PoolReader(tmp_path).poll()
    parts = [block.samples[o : o + n].tolist() for o, n in zip(block.offsets, block.lengths, strict=True)]
    assert parts == [[1] * 4, [2] * 6]
