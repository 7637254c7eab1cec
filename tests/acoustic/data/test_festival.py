import os
import shutil
import stat
import subprocess
import sys
import textwrap
import time
from ctypes import CDLL
from pathlib import Path

import numpy as np
import pytest
from tritone_acoustic.data import festival as festival_module
from tritone_acoustic.data.audio import Clip, write_set
from tritone_acoustic.data.clunits import drop_from_catalogue, drop_from_trees, parse
from tritone_acoustic.data.elf import make_optional
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.festival import Festival, speakable
from tritone_acoustic.data.festival_files import restore
from tritone_acoustic.data.join_features import fit, log_mel_at, read_track, write_track

pytestmark = pytest.mark.unit

CATALOGUE = """EST_File index
DataType ascii
NumEntries 4
IndexName some
EST_Header_End
a_0 ru_0001 0.0 0.1 0.2
k_0 ru_0001 0.2 0.3 0.4
a_1 ru_0005 0.0 0.1 0.2
k_1 ru_0005 0.2 0.3 0.4
"""
TREES = """;; made by a tool
(set! clunits_selection_trees '(
("a" ((n.name is k) ((((0 1.5) (1 2.5)) 2.0)) ((((1 3.5)) 3.0))))
("k" ((((1 0.5)) 0.5)))
))
"""


def test_units_of_a_held_out_recording_are_gone_from_catalogue_and_trees():
    catalogue, units = drop_from_catalogue(CATALOGUE, lambda name: name == "ru_0005")
    assert units == {"a_0", "k_0"}
    assert "ru_0005" not in catalogue
    assert "NumEntries 2\n" in catalogue
    ((_, _, trees),) = parse(drop_from_trees(TREES, units))
    # The question's other branch lost all of its units: the question goes; so does type k.
    assert trees == [['"a"', [[[["0", "1.5"]], "2.0"]]]]


def test_a_broken_tree_is_refused():
    with pytest.raises(TrainingDataError, match="lacks"):
        parse("(a (b)")
    with pytest.raises(TrainingDataError, match="too many"):
        parse("(a))")


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Добрый день! Чем — скажите — могу помочь?", "добрый день! чем, скажите, могу помочь?"),
        ("«Шёл» (тихо)… ж+изнь", "шёл, тихо, ж+изнь"),
        ('из-за "туч"; так\\', "из за туч, так"),
        ("плюс + один", "плюс один"),
        ("hello", ""),
    ],
)
def test_speakable_keeps_words_and_pauses_only(sentence, expected):
    assert speakable(sentence) == expected


def test_track_round_trip(tmp_path):
    values = np.arange(24, dtype=np.float32).reshape(2, 12)
    write_track(tmp_path / "x.mcep", np.array([0.01, 0.02]), values)
    times, back = read_track(tmp_path / "x.mcep")
    np.testing.assert_allclose(times, [0.01, 0.02])
    np.testing.assert_array_equal(back, values)


def test_join_features_follow_the_sound_at_the_mark():
    rng = np.random.default_rng(1)
    samples = np.concatenate([np.zeros(4000), 3000 * np.sin(np.arange(4000) * 2 * np.pi * 1000 / 8000)])
    samples = (samples + rng.normal(0, 3, 8000)).astype(np.int16)
    features = log_mel_at(samples, np.array([0, 2000, 6000, 7999]))
    assert features.shape == (4, 25)
    assert features[2, :24].max() > features[1, :24].max() + 4
    matrix = rng.normal(size=(25, 12)).astype(np.float32)
    many = log_mel_at(samples, np.arange(0, 8000, 40))
    np.testing.assert_allclose(many @ fit(many, many @ matrix), many @ matrix, atol=1e-2)


def test_restore_writes_the_database_once_and_again_for_other_marks(tmp_path):
    clip = Clip("ru_0001", "festvox", "да", (1000 * np.sin(np.arange(8000) / 5)).astype(np.int16))
    write_set([clip], tmp_path / "set")
    folder = tmp_path / "festival"
    with pytest.raises(TrainingDataError, match="bundle"):
        restore(folder, tmp_path / "set")
    for name in ("bin", "voice"):
        (folder / name).mkdir(parents=True)
    (folder / "bin/festival").touch()
    np.savez(folder / "voice/marks.npz", ru_0001=np.full(90, 80, np.uint8), map=np.ones((25, 12), np.float32))
    assert restore(folder, tmp_path / "set")
    times, values = read_track(folder / "voice/mcep/ru_0001.mcep")
    np.testing.assert_allclose(times, np.arange(1, 91) / 100, rtol=1e-6)
    assert values.shape == (90, 12)
    (folder / "voice/wav/ru_0001.wav").unlink()
    assert restore(folder, tmp_path / "set")
    assert not (folder / "voice/wav/ru_0001.wav").exists()
    np.savez(folder / "voice/marks.npz", ru_0001=np.full(45, 160, np.uint8), map=np.ones((25, 12), np.float32))
    assert restore(folder, tmp_path / "set")
    assert len(read_track(folder / "voice/mcep/ru_0001.mcep")[0]) == 45


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_an_optional_library_may_be_missing(tmp_path):
    def build(name, source, *arguments):
        (tmp_path / f"{name}.c").write_text(source)
        command = ["gcc", "-shared", "-fPIC", "-o", f"{name}.so", f"{name}.c", "-Wl,-z,now", *arguments]
        subprocess.run(command, check=True, cwd=tmp_path)

    (tmp_path / "versions").write_text("GONE_1 { global: *; };")
    build("libgone", "int gone(void) { return 1; }", "-Wl,--version-script=versions,-soname,libgone.so")
    user = "#include <unistd.h>\nint gone(void); int call(void) { return gone(); } int own(void) { return getpid(); }"
    build("user", user, "./libgone.so")
    (tmp_path / "libgone.so").unlink()
    shutil.copyfile(tmp_path / "user.so", tmp_path / "before.so")
    make_optional(tmp_path / "user.so", frozenset({"libgone.so"}))
    assert CDLL(str(tmp_path / "user.so")).own() == os.getpid()
    with pytest.raises(OSError, match="libgone"):
        CDLL(str(tmp_path / "before.so"))
    (tmp_path / "text").write_text("no library")
    with pytest.raises(TrainingDataError, match="ELF"):
        make_optional(tmp_path / "text", frozenset())


# Speaks the engine's side of the protocol: one sample per 1/8000 s, 0.1 s per letter, and misbehaves on command.
_PROGRAM = """
    import re, sys, time
    for line in sys.stdin:
        spoken = re.search(r'\\(tritone_speak (\\d+) "(.*)" "(.*)"\\)', line)
        marked = re.search(r'tritone-done (\\d+)\\\\n', line)
        if spoken and spoken[2] and "define" not in line:
            number, text, path = spoken.groups()
            if "падай" in text: sys.exit(3)
            if "зависни" in text: time.sleep(60)
            if "молчи" in text: continue
            words = "иное" if "ослышка" in text else re.sub("[,.?!+]", "", text)
            open(path, "wb").write(b"\\1\\0" * (10 if "коротко" in text else 800 * len(words)))
            print("SIOD noise\\n\\ntritone-done", number, 8000, words, flush=True)
        elif marked:
            print("\\ntritone-done", marked[1], flush=True)
"""


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setattr(festival_module, "SPEAK_SECONDS", 0.7)
    program = tmp_path / "bin/festival"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{textwrap.dedent(_PROGRAM)}", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    engine = Festival(tmp_path)
    yield engine
    engine.close()


def test_engine_speaks(engine):
    samples = engine.speak("Добрый день!")
    assert len(samples) == 800 * len("добрый день")
    assert engine.sample_rate == 8000
    assert engine.restarts == 0


@pytest.mark.parametrize(
    ("text", "message", "restarts"),
    [
        ("падай", "ended", 1),
        ("зависни", "no answer", 1),
        ("молчи", "cannot say", 0),
        ("ослышка", "reads 'иное'", 0),
        ("коротко", "per letter", 0),
        ("...", "nothing to say", 0),
    ],
)
def test_engine_survives_what_it_cannot_say(engine, text, message, restarts):
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match=message):
        engine.speak(text)
    assert len(engine.speak("дальше")) == 800 * 6
    assert engine.restarts == restarts
    assert time.monotonic() - begin < 20


def test_engine_that_ended_between_two_sentences_starts_again(engine):
    assert engine._process is not None
    engine._process.kill()
    engine._process.wait()
    with pytest.raises(RuntimeError, match="ended"):  # its pipe is broken, and what is left cannot be written either
        engine.speak("дальше")
    assert len(engine.speak("дальше")) == 800 * 6
    assert engine.restarts == 1


def test_engine_without_program_says_so(tmp_path):
    with pytest.raises(TrainingDataError, match="does not start"):
        Festival(tmp_path)


DATA = Path("data")


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "festival/voice/marks.npz").exists(), reason="needs `data bundle`")
def test_real_voice_speaks_each_word():
    restore(DATA / "festival", DATA / "sets/festvox_train")
    engine = Festival(DATA / "festival")
    samples = engine.speak("Добрый день, чем я могу вам помочь?")
    engine.close()
    assert 2.0 < len(samples) / engine.sample_rate < 5.0
    assert np.sqrt(np.mean(samples.astype(float) ** 2)) > 500
