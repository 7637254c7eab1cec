"""Words known by class only: the list that a build writes is what the decoder reads, and a search finds its words."""

import lzma

import numpy as np
import pytest
from tritone_acoustic.language.rare_words import RareWords
from tritone_backend.decoding.beam import BeamDecoder
from tritone_backend.decoding.language import LanguageModel
from tritone_backend.decoding.rare_words import read_rare_words
from tritone_backend.decoding.settings import BeamSettings
from tritone_backend.errors import ModelError

from tests.backend.decoding.conftest import PIECES, WORDS, arpa, rows

pytestmark = pytest.mark.unit


def model_with(folder, words, classes=("*0",)):
    """A model of words, pieces and classes, with a list beside it unless ``words`` is None."""
    path = folder / "model.arpa"
    path.write_text(arpa((*WORDS, *PIECES, *classes), [("мама", "мыла")]), encoding="utf-8")
    if words is not None:
        (folder / "model.words.xz").write_bytes(lzma.compress(words.encode()))
    return path


def said(spec, language, frames) -> str:
    beam = BeamDecoder(spec, language, BeamSettings())
    beam.push(frames, 0)
    return " ".join(word.text for word in beam.finish())


def test_a_search_prefers_a_rare_word_to_letters_that_are_none(tmp_path, spec, language):
    doubtful = rows("-д-а- -р-о-с-л-ы-й- -", spec, "-д-а- -р-о-с-л-ы-и- -")
    known = LanguageModel(model_with(tmp_path, "рослый\nмотыльки\n"), spec)
    assert known.words == language.words + 2
    assert said(spec, known, doubtful) == "да рослый"
    other = rows("-д-а- -р-о-с-л-ы-и- -", spec, "-д-а- -р-о-с-л-ы-й- -", doubt=0.40)
    assert said(spec, known, other) == "да рослый"
    assert said(spec, language, other) == "да рослыи"


def test_starred_words_of_other_models_are_no_classes(tmp_path, spec, language):
    assert LanguageModel(model_with(tmp_path, None, ("*", "***", "*да", "*0_")), spec).words == language.words


def test_a_list_that_was_written_is_read_with_the_same_classes(tmp_path):
    rng = np.random.default_rng(3)
    letters, endings = list("абвгдеклмно"), ["ого", "ать", "ий", "ы", ""]
    words = {"".join(rng.choice(letters, rng.integers(2, 9))) + str(rng.choice(endings)) for _ in range(6000)}
    ranked = sorted(words, key=hash)
    whole = set(ranked[::50])
    rare = RareWords(ranked, whole)
    rare.write(tmp_path / "model.words.xz")
    assert 10 < len(rare.members) < 400
    assert any(len(name) == 5 for name in rare.members)
    read = dict(read_rare_words(tmp_path / "model.bin", rare.members.keys()))
    assert read == {word: rare.class_of(word) for word in ranked if word not in whole}
    assert rare.class_of(ranked[0]) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (None, "model.arpa needs model.words.xz beside it: copy both files"),
        ("рослый\n\n\nмотыльки\n", "does not belong to the language model beside it: no class for 'мотыльки'"),
        ("ааа\n" * 1_000_001, "more than 1000000 words"),
    ],
)
def test_a_list_that_does_not_fit_is_refused_in_one_line(words, message, tmp_path, spec):
    with pytest.raises(ModelError, match=message) as caught:
        LanguageModel(model_with(tmp_path, words), spec)
    assert "\n" not in caught.value.user_message


def test_a_broken_list_is_refused_in_one_line(tmp_path, spec):
    path = model_with(tmp_path, "рослый\n" * 1000)
    whole = (tmp_path / "model.words.xz").read_bytes()
    for content in (b"", b"nothing", whole[: len(whole) // 2]):
        (tmp_path / "model.words.xz").write_bytes(content)
        with pytest.raises(ModelError, match=r"cannot read .*model\.words\.xz") as caught:
            LanguageModel(path, spec)
        assert "\n" not in caught.value.user_message
    (tmp_path / "model.words.xz").write_bytes(lzma.compress(b"hello\n"))
    assert LanguageModel(path, spec).words > 0  # words in other letters cannot be heard and are left out
