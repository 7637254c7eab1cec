"""The beam search: what a language model puts right, unknown words, pieces of a phrase, ends, long phrases."""

import numpy as np
import pytest
from tritone_backend.decoding import beam as module
from tritone_backend.decoding.beam import BeamDecoder
from tritone_backend.decoding.condense import Condenser
from tritone_backend.decoding.settings import BeamSettings

from tests.backend.decoding.conftest import rows

pytestmark = pytest.mark.unit


def text(words) -> str:
    return " ".join(word.text for word in words)


@pytest.fixture
def beam(spec, language):
    return BeamDecoder(spec, language, BeamSettings())


def test_the_language_model_decides_where_the_network_doubts(spec, beam):
    beam.push(rows("-м-о-м-а- -мы-ла-", spec, "-м-а-м-а- -мы-ла-"), 0)
    assert text(beam.finish()) == "мама мыла"


def test_a_word_that_the_model_does_not_know_is_spelt(spec, beam):
    beam.push(rows("-да- -ж-ё-ф-", spec), 0)
    assert text(beam.finish()) == "да жёф"


def test_a_double_letter_needs_its_blank_and_a_long_one_is_one(spec, beam):
    beam.push(rows("дд-а", spec), 0)
    assert text(beam.finish()) == "да"
    beam.push(rows("ж-ж", spec), 4)
    assert text(beam.finish()) == "жж"


def test_words_have_their_letters_frames_and_probabilities(spec, beam):
    beam.push(rows("--да-- -нет--", spec), 200)
    first, second = beam.finish()
    assert (first.text, first.start, first.end) == ("да", 202, 204)
    assert (second.text, second.start, second.end) == ("нет", 208, 211)
    assert first.confidence == pytest.approx(0.9, abs=0.01)
    assert second.weakest == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("ends", ["да", " да", "да ", "  да  ", "-- да --"])
def test_silence_at_either_end_costs_nothing(spec, beam, ends):
    beam.push(rows(ends, spec), 0)
    assert text(beam.finish()) == "да"


def test_the_same_phrase_in_other_pieces(spec, beam):
    logprobs = rows("-м-о-м-а- -мы-ла- -р-а-м-у--", spec, "-м-а-м-а- -мы-ла- -р-я-м-у--")
    beam.push(logprobs, 0)
    whole = beam.finish()
    for size in (1, 3, 7):
        for begin in range(0, len(logprobs), size):
            beam.push(logprobs[begin : begin + size].copy(), begin)
            beam.words()
        assert beam.finish() == whole
    assert text(whole) == "мама мыла раму"


def test_unfinished_words_are_not_shown(spec, beam):
    beam.push(rows("-да- -не", spec), 0)
    beam.push(rows("т-", spec), 8)
    assert text(beam.words()) == "да"


@pytest.mark.parametrize("content", ["silence", "noise", "flat"])
def test_phrases_without_words_do_no_harm(spec, beam, content):
    if content == "silence":
        logprobs = rows("-" * 300, spec)
    elif content == "flat":
        logprobs = np.full((300, spec.classes), -np.log(spec.classes), np.float32)
    else:
        scores = np.random.default_rng(0).normal(size=(300, spec.classes)) * 5
        logprobs = (scores - np.log(np.exp(scores).sum(1, keepdims=True))).astype(np.float32)
    beam.push(logprobs, 0)
    words = beam.finish()
    assert all(0 <= word.start < word.end <= 300 for word in words)
    assert content != "silence" or not words
    beam.push(rows("да", spec), 300)
    assert text(beam.finish()) == "да"


def test_a_very_long_phrase_keeps_its_words_in_bounded_memory(spec, beam):
    said = rows("-мама- -мыла- -раму- ", spec)
    most = 0
    for turn in range(400):  # over four minutes without a pause
        beam.push(said, turn * len(said))
        most = max(most, len(beam._rows))
    assert text(beam.finish()) == " ".join(["мама мыла раму"] * 400)
    assert most <= module.PRUNE_AT + len(said)


def test_condensing_leaves_letters_and_their_frames(spec):
    condenser = Condenser(spec.blank, spec.space)
    kept, frames = condenser.push(rows("---ддд-аа  -", spec), 50)
    last, end = condenser.finish()
    best = [int(row.argmax()) for row in kept + last]
    assert best == [spec.blank, spec.labels.index("д"), spec.blank, spec.labels.index("а"), spec.space]
    assert [*frames, *end] == [50, 53, 56, 57, 59]


def dead_end(spec) -> np.ndarray:
    """'мы' makes a search with one hypothesis wait for 'мыла', whose third letter never comes."""
    return rows("-да- -мышь- -нет- -раму- ", spec)


def test_condensing_keeps_silence_that_may_be_letters(spec):
    half_heard = rows("-----------", spec, "--д-а----м-", certainty=0.97, doubt=0.3)
    kept, frames = Condenser(spec.blank, spec.space).push(half_heard, 50)
    assert frames == [50, 52, 53, 54, 55, 59]  # the last run is still open
    assert [int(np.delete(row, spec.blank).argmax()) for row in (kept[1], kept[3], kept[5])] == [
        spec.labels.index(letter) for letter in "дам"
    ]


def test_a_blank_penalty_lets_half_heard_words_through(spec, language):
    half_heard = rows("-да- -------- -нет-", spec)
    for frame, letter in zip((6, 8, 10, 11), "мыла", strict=True):
        half_heard[frame, spec.labels.index(letter)] = np.log(0.3)
    half_heard[12, spec.space] = np.log(0.9)
    found = {}
    for penalty in (0.0, 3.0):
        beam = BeamDecoder(spec, language, BeamSettings(blank_penalty=penalty))
        beam.push(half_heard, 0)
        found[penalty] = text(beam.finish())
    assert found == {0.0: "да нет", 3.0: "да мыла нет"}


@pytest.mark.parametrize("repeats", [1, 60])
def test_a_search_without_a_way_on_loses_no_word(spec, language, repeats):
    narrow = BeamDecoder(spec, language, BeamSettings(beam=1))
    said = dead_end(spec)
    for turn in range(repeats):
        narrow.push(said, turn * len(said))
    words = narrow.finish()
    assert text(words) == " ".join(["да мышь нет раму"] * repeats)
    assert [(word.start, word.end) for word in words[:2]] == [(1, 3), (6, 10)]
    narrow.push(rows("да", spec), 0)
    assert text(narrow.finish()) == "да"


def test_a_phrase_cut_inside_a_word_keeps_its_letters(spec, language):
    narrow = BeamDecoder(spec, language, BeamSettings(beam=1))
    narrow.push(rows("-да- -мы-л", spec), 0)
    assert text(narrow.finish()) == "да мыл"


def test_the_rest_of_a_phrase_stays_greedy_after_many_rescues(spec, language, monkeypatch):
    monkeypatch.setattr(module, "MOST_RESCUES", 2)
    narrow = BeamDecoder(spec, language, BeamSettings(beam=1))
    narrow.push(np.concatenate([dead_end(spec)] * 5), 0)
    assert text(narrow.finish()) == " ".join(["да мышь нет раму"] * 5)
