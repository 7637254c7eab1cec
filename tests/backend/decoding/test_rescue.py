"""Gaps of a path, words that fall short, and the default language model on a word that it takes for another."""

from pathlib import Path

import pytest
from tritone_backend.decoding import DecodedWord
from tritone_backend.decoding.beam import BeamDecoder
from tritone_backend.decoding.language import LanguageModel
from tritone_backend.decoding.rescue import falls_short, gap
from tritone_backend.decoding.settings import BeamSettings

from tests.backend.decoding.conftest import rows

pytestmark = pytest.mark.unit
DEFAULT = Path(__file__).parents[3] / "models" / "default" / "language-model.bin"


def classes(text, spec) -> list[int]:
    return [spec.blank if character == "-" else spec.labels.index(character) for character in text]


def words(text: str) -> list[DecodedWord]:
    return [DecodedWord(word, 10 * i, 10 * i + 8, 0.9) for i, word in enumerate(text.split())]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("да мама мыла", None),
        ("да --м- м-ла", None),  # single letters are the language model's choice
        ("да бббб мыла", None),  # other letters are no gap
        ("да ---- мыла", (3, 7)),
        ("да------ мыла", (2, 7)),
        ("да м--------", (4, 7)),
        ("да мама-----", (7, 12)),
    ],
)
def test_a_gap_reaches_to_the_next_space(spec, path, found):
    assert gap(spec, list(rows("да мама мыла", spec)), classes(path, spec)) == found
    assert gap(spec, [], []) is None


@pytest.mark.parametrize(
    ("found", "greedy", "short"),
    [
        ("", "э", False),  # noise that greedy decoding takes for a letter
        ("мама", "мама", False),
        ("мама мыла", "мома мыла рр", False),
        ("мама", "мома мыла раму", True),
        ("", "мама мыла", True),
    ],
)
def test_words_that_fall_short(found, greedy, short):
    assert falls_short(words(found), words(greedy)) is short


@pytest.mark.skipif(not DEFAULT.is_file(), reason="the default model has no language model")
@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("-в- -д-е-ги- -не-с-у-ще-с-т-в-е-л-о-с-ь- -вы- -мо-жете-", "в деги несуществелось вы можете"),
        ("-н-а- -л-и-н-и-и- -о-жи-д-а-ет- -пред-с-т-а-с-я- -к-а-к-", "на линии ожидает предстася как"),
    ],
)
def test_the_default_language_model_loses_nothing_behind_a_dead_end(spec, said, text):
    language = LanguageModel(DEFAULT, spec)
    # As narrow as the hypotheses are that doubt about the words before leaves for this one.
    beam = BeamDecoder(spec, language, BeamSettings(beam=2))
    beam.push(rows(said, spec), 0)
    heard = " ".join(word.text for word in beam.finish())
    assert heard.replace(" ", "") == text.replace(" ", "")  # every letter; where words part is the search's choice
    assert heard.endswith(text.split(maxsplit=2)[2].split()[-1])
