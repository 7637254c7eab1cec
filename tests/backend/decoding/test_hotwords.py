"""Hotwords: checks of the list, and spotting beside both decoders."""

import json

import pytest
from tritone_backend.decoding.beam import BeamDecoder
from tritone_backend.decoding.hotwords import MOST_WORDS, Hotwords, HotwordSearch, align
from tritone_backend.decoding.settings import BeamSettings
from tritone_backend.errors import Code, StreamError

from tests.backend.decoding.conftest import rows

pytestmark = pytest.mark.unit


def spot(spec, words, logprobs, language=None):
    beam = BeamDecoder(spec, language, BeamSettings()) if language else None
    search = HotwordSearch(spec, Hotwords.parse(json.dumps(words), spec.labels), beam)
    for begin in range(0, len(logprobs), 10):
        search.push(logprobs[begin : begin + 10], begin)
    return search.finish()


@pytest.mark.parametrize("with_beam", [False, True])
def test_a_name_that_is_nearly_heard_is_spotted(spec, language, with_beam):
    logprobs = rows("-да- -т-е-н-ь-к-о-ф-", spec, "-да- -т-и-н-ь-к-о-ф-", doubt=0.3)
    plain = spot(spec, ["абракадабра"], logprobs, language if with_beam else None)
    words = spot(spec, ["Тинькоф"], logprobs, language if with_beam else None)
    assert [word.text for word in plain][-1] != "тинькоф"
    assert [word.text for word in words] == ["да", "тинькоф"]
    assert (words[1].start, words[1].end) == (6, 19)


def test_what_was_not_said_is_not_put_in(spec, language):
    logprobs = rows("-мама- -мыла- -раму-", spec)
    words = spot(spec, ["тинькоф", "мята", "рама"], logprobs, language)
    assert [word.text for word in words] == ["мама", "мыла", "раму"]


def test_several_words_as_one(spec, language):
    logprobs = rows("-да- -н-о-т- -б-а-н-к-", spec, "-да- -н-е-т- -б-а-н-г-", doubt=0.3)
    words = spot(spec, ["нет банг"], logprobs, language)
    assert [word.text for word in words] == ["да", "нет", "банг"]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("да", "must be a JSON list"),
        ('{"word": "да"}', "must be a JSON list, not dict"),
        (json.dumps(["слово"] * (MOST_WORDS + 1)), "are 1001, at most 1000 are taken: send those"),
        ('["iPhone"]', "spelt as they sound.*'i'.*spoken words"),
        ('["100"]', "'0', '1'.*spoken words"),
        ('["я"]', "3 to 50 letters: 'я' has 1"),
        (json.dumps(["а" * 51]), "has 51"),
        ('["   "]', "has 0"),
        ("[1]", 'must be strings or objects with "word"'),
        ('[{"word": "слово", "weight": 2}]', "must be strings or objects"),
        ('[{"word": "слово", "boost": 99}]', "boost of 0.1 to 5 for a letter, not 99"),
        ('[{"word": "слово", "boost": true}]', "boost of"),
        ("[" * 100_000, "must be a JSON list"),
    ],
)
def test_lists_that_cannot_be_used(spec, given, match):
    with pytest.raises(StreamError, match=match) as caught:
        Hotwords.parse(given, spec.labels)
    assert caught.value.code is Code.BAD_OPTION
    assert "\n" not in caught.value.user_message


def test_an_empty_list_is_none_and_a_later_entry_counts(spec):
    assert Hotwords.parse("[]", spec.labels) is None
    chosen = Hotwords.parse('["Санкт-Петербург", {"word": "санкт петербург", "boost": 2}]', spec.labels)
    assert chosen == Hotwords(("санкт петербург",), (2.0,))


def test_alignment_gives_each_letter_its_frame(spec):
    target = [spec.labels.index(letter) for letter in "нет"]
    path = align(rows("--нн-е--т-", spec), target, spec.blank)
    assert [spec.labels[index] if index != spec.blank else "-" for index in path] == list("--нн-е--т-")
