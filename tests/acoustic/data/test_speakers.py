import random
from collections import Counter

import numpy as np
import pytest
import soundfile
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.respelling import as_spoken, ukrainian
from tritone_acoustic.data.small_recordings import MISFITS, caption, fits, read_letters, read_stamps
from tritone_acoustic.data.speakers import EVALUATION_VOICES, RUSSIAN_VOICES, VOICES, VoiceDraw
from tritone_acoustic.data.voices import gather_voices

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("russian", "expected"),
    [
        ("Её ёлка", "йейо йолка"),
        ("мёд, шёл", "мьод, шол"),
        ("жить и мыть", "жить і мить"),
        ("этот цех", "етот цех"),
        ("объезд", "об'єзд"),
        ("гроза", "ґроза"),
    ],
)
def test_ukrainian_letters_sound_like_the_russian_ones(russian, expected):
    assert ukrainian(russian) == expected.replace("йе", "є")


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("большого", "большова"),
        ("его много", "ево многа"),
        ("дорого и строго", "дорого и строго"),
        ("Что? Чтобы!", "што? штобы!"),
        ("учиться учится", "учица учица"),
        ("солнце поздно", "сонце позно"),
        ("договора", "дагавора"),
        ("ж+изнь", "жизнь"),
    ],
)
def test_as_spoken_writes_the_sound(written, spoken):
    assert as_spoken(written) == spoken


def test_no_voice_that_forbids_training_is_in_the_mix():
    assert not {*VOICES} & {*EVALUATION_VOICES, "Marianna", "Volodymyr"}
    assert {*RUSSIAN_VOICES} == {"Aleksandr", "Anna", "Elena", "Irina"}


def test_voices_are_drawn_by_their_shares_and_only_those_present(tmp_path):
    for name in ("anna", "natalia", "anatol"):
        (tmp_path / "voices" / name).mkdir(parents=True)
    draw, rng = VoiceDraw(tmp_path), random.Random(1)
    counts = Counter(draw(rng) for _ in range(4500))
    assert counts.keys() == {"Anna", "Natalia", "Anatol"}
    assert counts["Anna"] == pytest.approx(2000, rel=0.1)
    assert counts["Anatol"] == pytest.approx(1000, rel=0.15)
    with pytest.raises(TrainingDataError, match="no known voice"):
        VoiceDraw(tmp_path / "nothing")


def test_gathered_voices_have_their_language_and_no_second_copy_of_the_models(tmp_path):
    paths = DataPaths(tmp_path)
    share = paths.packages / "usr/share/RHVoice"
    libraries = paths.packages / "usr/lib/x86"
    libraries.mkdir(parents=True)
    for name in ("libsonic.so.0", "libRHVoice_core.so.7", "libRHVoice.so.5"):
        (libraries / name).touch()
    for voice, language in (("anna", "Russian"), ("natalia", "Ukrainian")):
        for rate in ("16000", "24000"):
            (share / "voices" / voice / rate).mkdir(parents=True)
            for name in ("voice.data", "mgc.pdf"):
                (share / "voices" / voice / rate / name).touch()
        (share / "voices" / voice / "voice.info").write_text(f"name={voice}\nlanguage={language}\n")
        (share / "voices" / voice / "voice.params").touch()
        (share / "languages" / language).mkdir(parents=True)
    with pytest.raises(TrainingDataError, match="Irina"):
        gather_voices(paths, tmp_path / "out", ("Anna", "Irina"))
    gather_voices(paths, tmp_path / "out", ("Natalia",))
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {name for name in files if not name.startswith("lib/")} == {
        "config/RHVoice.conf",
        "voices/natalia/voice.info",
        "voices/natalia/voice.params",
        "voices/natalia/16000/mgc.pdf",
    }
    assert [path.name for path in (tmp_path / "out/languages").iterdir()] == ["Ukrainian"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ru.utf8=Яркая луна.", "яркая луна"),
        ("ru.utf8=Камера DSLR", ""),
        ("ru.utf8=Цифра 5", ""),
        ("ru.utf8=А Б", ""),
        ("de.utf8=Mond", ""),
    ],
)
def test_caption_takes_only_what_is_said_as_written(tmp_path, line, expected):
    path = tmp_path / "x.txt"
    path.write_text(f"A bright moon.\n{line}\n", encoding="utf-8")
    assert caption(path) == expected
    assert caption(tmp_path / "none.txt") == ""


def test_fits_refuses_silence_and_impossible_pace():
    noise = np.random.default_rng(1).integers(-5000, 5000, 8000).astype(np.int16)
    assert fits("яркая луна", noise)
    assert not fits("да", noise)
    assert not fits("очень длинная подпись под одной секундой", noise)
    assert not fits("", noise)
    assert not fits("яркая луна", noise // 100)


def _recording(path, seconds, seed, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 0.1, (int(44100 * seconds), channels))
    soundfile.write(path, noise, 44100, format="OGG", subtype="VORBIS")


def test_stamps_are_read_once_and_without_misfits(tmp_path):
    paths = DataPaths(tmp_path)
    root = paths.packages / "usr/share/tuxpaint/stamps/sky"
    _recording(root / "moon_desc_ru.ogg", 1.0, 1, channels=2)
    (root / "same_desc_ru.ogg").write_bytes((root / "moon_desc_ru.ogg").read_bytes())
    _recording(root / "slow_desc_ru.ogg", 6.0, 2)
    misfit = min(MISFITS)
    _recording(root / f"{misfit}_desc_ru.ogg", 1.0, 3)
    _recording(root / "bare_desc_ru.ogg", 1.0, 4)
    for stem in ("moon", "same", "slow", misfit):
        (root / f"{stem}.txt").write_text("Moon\nru.utf8=Яркая луна\n", encoding="utf-8")
    (clip,) = read_stamps(paths)
    assert (clip.name, clip.voice, clip.text) == ("moon", "stamps", "яркая луна")
    assert len(clip.samples) == pytest.approx(8000, abs=100)


def test_letters_are_syllables_only(tmp_path):
    paths = DataPaths(tmp_path)
    root = paths.packages / "usr/share/klettres/ru"
    for name in ("alpha/be", "syllab/ko", "syllab/zh"):
        _recording(root / f"{name}.ogg", 0.6, 1)
    (root / "sounds.xml").write_text(
        '<alphabet><sound name="Б" file="ru/alpha/be.ogg" /></alphabet><syllables>'
        '<sound name="КO"   file="ru/syllab/ko.ogg" /><sound name="ЖЖ" file="ru/syllab/zh.ogg" />'
        '<sound name="МУ" file="ru/syllab/gone.ogg" /></syllables>',
        encoding="utf-8",
    )
    assert [(clip.name, clip.text) for clip in read_letters(paths)] == [("ko", "ко")]
