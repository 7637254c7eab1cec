"""Calibration: ranges are those of the graph, recordings of any form are read, and what does not serve is refused."""

import numpy as np
import onnx
import pytest
import soundfile
from tritone_backend.errors import ModelError
from tritone_backend.models import calibrate
from tritone_backend.models.calibrate import activation_ranges, made_sound, noise_and_tones, read_sound
from tritone_backend.models.registry import find_model
from tritone_backend.spec import AcousticSpec

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def spec() -> AcousticSpec:
    return AcousticSpec.load(find_model("default"))


@pytest.fixture(scope="module")
def model(spec):
    return onnx.load(spec.onnx)


def test_ranges_hold_zero_and_grow_with_the_sound(spec, model):
    names = [node.input[0] for node in model.graph.node if node.op_type == "Gemm"][:12]
    before = model.SerializeToString()
    few = activation_ranges(model, names, noise_and_tones(2, spec.chunk_samples))
    many = activation_ranges(model, names, noise_and_tones(2, 3 * spec.chunk_samples + 5))
    for name in names:
        assert few[name][0] <= 0 <= few[name][1]
        assert few[name] != (0, 0)
    whole = activation_ranges(model, names, noise_and_tones(2, 3 * spec.chunk_samples + 5)[:, : 3 * spec.chunk_samples])
    assert many == whole  # a part of a chunk is left out
    assert model.SerializeToString() == before


def test_a_graph_that_does_not_run_is_refused_in_one_line(spec, model):
    with pytest.raises(ModelError, match="the graph cannot be calibrated") as caught:
        activation_ranges(model, ["no such tensor"], noise_and_tones(1, spec.chunk_samples))
    assert "\n" not in caught.value.user_message


def test_made_sound_is_always_the_same():
    assert made_sound().shape == (8, 48_000)
    assert np.array_equal(made_sound(), made_sound())


def test_recordings_of_any_rate_and_number_of_channels_are_read(spec, tmp_path):
    tone = 0.3 * np.sin(np.arange(44_100 * 8) / 20)
    soundfile.write(tmp_path / "a.wav", np.stack([tone, tone], axis=1), 44_100)
    soundfile.write(tmp_path / "b.FLAC", tone[: 8000 * 12], 8000)
    (tmp_path / "notes.txt").write_text("no recording")
    signal = read_sound(tmp_path, spec)
    assert signal.shape[0] == 8
    assert signal.shape[1] % spec.chunk_samples == 0
    assert 18 <= signal.size / 8000 <= 22
    assert 0.28 < np.abs(signal).max() / 32767 < 0.32


def test_enough_is_enough(spec, tmp_path, monkeypatch):
    monkeypatch.setattr(calibrate, "MOST_SECONDS", 20)
    for name in "abcd":
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * np.ones(8000 * 12), 8000)
    assert read_sound(tmp_path, spec).size / 8000 < 30


def test_folders_that_do_not_serve_are_refused(spec, tmp_path):
    def refused(words):
        with pytest.raises(ModelError, match=words) as caught:
            read_sound(tmp_path / "sound", spec)
        assert "\n" not in caught.value.user_message

    refused("is not a folder")
    (tmp_path / "sound").mkdir()
    refused("has no recordings")
    soundfile.write(tmp_path / "sound" / "a.wav", np.zeros(8000 * 5), 8000)
    refused("calibrating needs 10 s or more")
    soundfile.write(tmp_path / "sound" / "b.wav", np.zeros(8000 * 9), 8000)
    refused("nothing but silence")
    (tmp_path / "sound" / "0.wav").write_bytes(b"no sound at all")
    refused(r"0\.wav cannot be read")
