import gzip

import numpy as np
import pytest
import soundfile
from tritone_acoustic.data import foreign
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.foreign_misfits import MISFITS
from tritone_acoustic.data.ipa_letters import russian_letters
from tritone_acoustic.data.normalize import ALPHABET
from tritone_acoustic.data.paths import DataPaths

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("ipa", "letters"),
    [
        ("poɾ faβˈoɾ iŋɡɾˈese su kˌontɾasˈeɲa", "пор фавор ингресе су контрасеня"),
        ("sjˈento βˌeɪntitɾˈes", "сиенто вейнтитрес"),
        ("ʝˈame ekstɛnsjˈon", "яме экстенсион"),
        ("kantʃellˈetːo adʒːˈunto", "канчелето аджунто"),
        ("ʎɪ fˈiʎɪ dˈeɲɲo", "ли фили денё"),
        ("ɡrˈatsje erɾˈato", "грацие эрато"),
        ("lə- nymeʁˈo ɑ̃ sɛsjˈɔ̃", "ле нимехо он сесион"),
        ("ʘ a", "а"),
    ],
)
def test_sounds_become_the_nearest_russian_letters(ipa, letters):
    assert russian_letters(ipa) == letters


def test_respelling_stays_inside_the_alphabet():
    sounds = "".join(chr(code) for code in range(0x250, 0x2B0)) + "abcdefghijklmnopqrstuvwxyzɑ̃œ̃"
    assert set(russian_letters(" ".join([sounds, *sounds]))) <= set(ALPHABET)


def test_only_prompts_said_as_written_are_read():
    content = (
        "\ufeff; a comment: nothing\n\nbeep: [tono]\njoin: (beep)\nletters/b: b\nplay: attivare/disattivare\n"
        "spy-sip: SIP\nfull: La conferenza ? piena.\nempty:\nauth: ¿Contrasena incorrecta?\nrest: Mañana, a las 8...\n"
    )
    assert foreign.read_transcripts(content) == {
        "auth": "¿contraseña incorrecta?",
        "rest": "Mañana, a las 8...",
    }


def test_words_of_another_language_leave_a_prompt_out():
    transcripts = {"a": "bip", "b": "sì"}
    sounds = {"bip": "(en)biːp(it)", "sì": "sˈi"}
    assert foreign.respell(transcripts, sounds.__getitem__) == {"b": "си"}


class _Rules:
    def __init__(self, paths):
        pass

    def ipa(self, text, language):
        return {"es-419": "ˈola mˈundo", "it": "tʃˈao mˈondo", "fr": "salˈy mˈɔ̃d"}[language]


def _prompts(paths):
    for language in ("es", "it", "fr"):
        listed = paths.packages / f"usr/share/doc/asterisk-core-sounds-{language}/core-sounds-{language}.txt.gz"
        listed.parent.mkdir(parents=True)
        names = ("hello", "again", "slow", "long", "gone", min(MISFITS["es_MX_f_Allison"]))
        listed.write_bytes(gzip.compress("".join(f"{name}: text\n" for name in names).encode()))
    for number, speaker in enumerate(foreign.SPEAKERS):
        folder = paths.asterisk_sounds / speaker.folder
        rng = np.random.default_rng(number)
        for name, seconds in (("hello", 1.0), ("slow", 6.0), ("long", 12.0), (min(MISFITS["es_MX_f_Allison"]), 1.1)):
            path = folder / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, rng.normal(0, 0.1, int(8000 * seconds)), 8000, subtype="PCM_16")
        (folder / "again.wav").write_bytes((folder / "hello.wav").read_bytes())


def test_foreign_prompts_are_read_once_and_without_misfits(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "Espeak", _Rules)
    paths = DataPaths(tmp_path)
    _prompts(paths)
    clips = foreign.read_foreign(paths)
    assert {clip.voice for clip in clips} == {speaker.folder for speaker in foreign.SPEAKERS}
    spanish = [(clip.name, clip.text) for clip in clips if clip.voice == "es_MX_f_Allison"]
    assert spanish == [("hello", "ола мундо")]
    assert not any(clip.name in MISFITS[clip.voice] for clip in clips)
    assert max(len(clip.samples) for clip in clips) <= foreign.LONGEST * 8000


def test_russian_prompts_are_never_among_the_foreign_ones():
    assert not any(speaker.folder.startswith("ru") or speaker.text == "ru" for speaker in foreign.SPEAKERS)
    assert MISFITS.keys() == {speaker.folder for speaker in foreign.SPEAKERS}


def test_missing_rules_say_how_to_get_them(tmp_path):
    with pytest.raises(TrainingDataError, match="data fetch"):
        foreign.read_foreign(DataPaths(tmp_path))
