import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tritone_bench.accuracy.sets import known_set, sample, unique, user_set
from tritone_bench.errors import UsageError

pytestmark = pytest.mark.unit


def tone(path: Path, samples: int = 800, rate: int = 8000, level: int = 1000) -> Path:
    soundfile.write(path, np.full(samples, level, np.int16), rate)
    return path


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    audio = np.repeat(np.array([100, 200, 300], np.int16), [800, 1600, 2400])
    soundfile.write(tmp_path / "prompts.flac", audio, 8000)
    lines = ["a\tx\t800\tда", "b\tx\t1600\tраз два три четыре пять", "c\tx\t2400\tнет"]
    (tmp_path / "prompts.tsv").write_text("\r\n".join(lines), encoding="utf-8")
    return tmp_path


def test_clips_of_a_set_are_cut_where_the_index_says(prompts: Path) -> None:
    clips = known_set("prompts", prompts).clips
    assert [(clip.key, clip.text, clip.offset_s, clip.seconds) for clip in clips] == [
        ("prompts/a", "да", 0.0, 0.1),
        ("prompts/b", "раз два три четыре пять", 0.1, 0.2),
        ("prompts/c", "нет", 0.3, 0.3),
    ]
    for clip, level in zip(clips, (100, 200, 300), strict=True):
        assert set(clip.samples()) == {level}


def test_a_part_of_a_set_shares_its_clips(prompts: Path) -> None:
    whole, part = known_set("prompts", prompts), known_set("prompts5", prompts)
    assert [clip.key for clip in part.clips] == ["prompts/b"]
    assert len(unique([whole, part])) == 3


def test_a_sample_is_the_same_for_the_same_seed(prompts: Path) -> None:
    whole = known_set("prompts", prompts)
    assert sample(whole, 2, 1) == sample(whole, 2, 1)
    assert len(sample(whole, 2, 1).clips) == 2
    assert sample(whole, 0, 1) is whole


def test_a_fingerprint_tells_transcripts_apart(prompts: Path) -> None:
    before = known_set("prompts", prompts).fingerprint
    assert before == known_set("prompts", prompts).fingerprint
    index = prompts / "prompts.tsv"
    index.write_text(index.read_text(encoding="utf-8").replace("нет", "не"), encoding="utf-8")
    assert known_set("prompts", prompts).fingerprint != before


def test_a_missing_set_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"python -m tritone_acoustic\.data.*fetch.*texts.*bundle"):
        known_set("voices", tmp_path)
    with pytest.raises(UsageError, match="there are synthetic, voices"):
        known_set("radio", tmp_path)


def test_an_index_of_more_audio_than_there_is(prompts: Path) -> None:
    index = prompts / "prompts.tsv"
    index.write_text(index.read_text(encoding="utf-8").replace("2400", "24000"), encoding="utf-8")
    with pytest.raises(UsageError, match="more audio"):
        known_set("prompts", prompts)


def test_a_folder_with_texts_beside(tmp_path: Path) -> None:
    (tmp_path / "day").mkdir()
    tone(tmp_path / "day" / "one.wav")
    (tmp_path / "day" / "one.txt").write_text("\ufeffДа, 5!\n", encoding="utf-8")
    tone(tmp_path / "two.flac", rate=16000)
    (tmp_path / "two.txt").write_text("нет", encoding="utf-8")
    clips = user_set(tmp_path).clips
    assert [(clip.shown, clip.text, clip.rate) for clip in clips] == [
        ("day/one.wav", "да пять", 8000),
        ("two.flac", "нет", 16000),
    ]


def test_a_recording_without_a_transcript(tmp_path: Path) -> None:
    tone(tmp_path / "one.wav")
    with pytest.raises(UsageError, match=r"one\.wav has no transcript: write what is said to one\.txt"):
        user_set(tmp_path)


@pytest.mark.parametrize("name", ["manifest.tsv", "manifest.jsonl", "list.jsonl"])
def test_manifests(tmp_path: Path, name: str) -> None:
    tone(tmp_path / "one.wav")
    row = {"audio_filepath": "one.wav", "text": "Раз"}
    (tmp_path / name).write_text("one.wav\tРаз\n" if name.endswith("tsv") else json.dumps(row), encoding="utf-8")
    source = tmp_path / name if name.startswith("list") else tmp_path
    assert [clip.text for clip in user_set(source).clips] == ["раз"]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("m.jsonl", '{"audio": "one.wav"}', "line 1 is not"),
        ("m.jsonl", "no json", "line 1 is not"),
        ("m.tsv", "one.wav\tда\nonly", "line 2 is not FILE, a tab, WORDS"),
        ("m.tsv", "gone.wav\tда", "no file gone.wav"),
        ("m.csv", "one.wav,да", "neither a folder nor a manifest"),
    ],
)
def test_bad_manifests(tmp_path: Path, name: str, text: str, problem: str) -> None:
    tone(tmp_path / "one.wav")
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=problem):
        user_set(tmp_path / name)


def test_what_is_no_audio(tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_bytes(b"RIFF")
    (tmp_path / "one.txt").write_text("да", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be read as audio"):
        user_set(tmp_path)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no recordings"):
        user_set(tmp_path)
