"""Gaps of a path, words that fall short, and the default language model on a word that it takes for another."""

from pathlib import Path

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein
from tritone_backend.decoding.beam import BeamDecoder
from tritone_backend.decoding.language import LanguageModel
from tritone_backend.decoding.rescue import falls_short, gap
from tritone_backend.decoding.settings import BeamSettings

from tests.backend.decoding.conftest import rows, spoken

pytestmark = pytest.mark.unit
DEFAULT = Path(__file__).parents[3] / "models" / "default" / "language-model.bin"


def classes(text, spec) -> list[int]:
    return [spec.blank if character == "-" else spec.labels.index(character) for character in text]


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
    assert falls_short(spoken(found), spoken(greedy)) is short


@pytest.fixture(scope="module")
def shipped(spec) -> LanguageModel:
    if not DEFAULT.is_file():
        pytest.skip("the default model has no language model")
    return LanguageModel(DEFAULT, spec)


def heard(spec, language, said: str, beam: BeamSettings, seed: int) -> str:
    """What a search hears of a made phrase. A little noise, since equal letters would leave the choice to rounding."""
    clean = rows(said, spec)
    noise = np.random.default_rng(seed).normal(0.0, 0.1, clean.shape)
    decoder = BeamDecoder(spec, language, beam)
    decoder.push((clean + noise).astype(np.float32), 0)
    return " ".join(word.text for word in decoder.finish())


UNKNOWN = [  # words that the language model does not know, amid words that it does
    ("-в- -д-е-ги- -не-с-у-ще-с-т-в-е-л-о-с-ь- -вы- -мо-жете-", "в деги несуществелось вы можете"),
    ("-н-а- -л-и-н-и-и- -о-жи-д-а-ет- -пред-с-т-а-с-я- -к-а-к-", "на линии ожидает предстася как"),
]


@pytest.mark.parametrize(("said", "text"), UNKNOWN)
def test_the_default_language_model_spells_an_unknown_word(spec, shipped, said, text):
    assert {heard(spec, shipped, said, BeamSettings(), seed) for seed in range(20)} == {text}


@pytest.mark.parametrize(("said", "text"), UNKNOWN)
def test_a_narrow_search_goes_on_behind_a_dead_end(spec, shipped, said, text):
    letters = text.replace(" ", "")
    # As narrow as the hypotheses are that doubt about the words before leaves for this one.
    found = [heard(spec, shipped, said, BeamSettings(beam=2), seed).replace(" ", "") for seed in range(50)]
    wrong = [Levenshtein.distance(one, letters) for one in found]
    assert np.mean(wrong) < 2  # 1.1 and 1.2 letters; 3.6 and 21 where the search does not begin anew
