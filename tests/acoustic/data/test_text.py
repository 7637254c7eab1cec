import random
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritone_acoustic.data.corpora import YoRestorer, sentences
from tritone_acoustic.data.normalize import (
    ALPHABET,
    BLANK,
    decode,
    encode,
    fold_yo,
    is_held_out,
    normalize,
    spell_digits,
)
from tritone_acoustic.data.templates import call_sentence, fill, patterns, reply
from tritone_acoustic.data.texts import TextSampler, fingerprint

pytestmark = pytest.mark.unit


def test_normalize_spells_numbers_and_drops_signs():
    assert normalize("Нажмите 1, затем №25 — 50%!") == "нажмите один затем номер двадцать пять пятьдесят процентов"


def test_normalize_keeps_yo_and_removes_stress_marks():
    assert normalize("Ещё вол+ос, за\u0301мок") == "ещё волос замок"


def test_digit_strings_with_leading_zero_are_read_one_by_one():
    assert " ".join(spell_digits("007").split()) == "ноль ноль семь"


@given(st.text(max_size=60))
def test_normalized_text_is_over_the_alphabet_and_stable(text):
    label = normalize(text)
    assert set(label) <= set(ALPHABET)
    assert normalize(label) == label
    assert label == label.strip()


@given(st.text(alphabet=ALPHABET, max_size=40))
def test_greedy_reading_undoes_encoding(text):
    label = " ".join(text.split())
    frames = [value for number in encode(label) for value in (number, number, BLANK)]
    assert decode(frames) == label


def test_held_out_ignores_yo_and_short_phrases():
    labels = [f"{first} {second} и {third}" for first in "абвгдеёж" for second in ALPHABET[:20] for third in "клмн"]
    held = [label for label in labels if is_held_out(label)]
    assert 0 < len(held) < len(labels) / 10
    assert all(is_held_out(fold_yo(label)) for label in held)
    assert not any(is_held_out(word) for word in labels[0].split())


def test_every_pattern_can_be_filled_without_digits_or_slots():
    rng = random.Random(5)
    for pattern in patterns():
        text = fill(rng, pattern)
        assert not set(text) & set("{}[]|<>\\"), text
        assert not set(text) & set(string.digits + string.ascii_letters), text


def test_templates_are_varied_and_reproducible():
    texts = [call_sentence(random.Random(seed)) for seed in range(300)]
    assert texts == [call_sentence(random.Random(seed)) for seed in range(300)]
    assert len(set(texts)) > 250
    assert all(normalize(reply(random.Random(seed))) for seed in range(100))


def test_templates_reach_a_wide_vocabulary_without_a_dominant_sentence():
    rng = random.Random(2)
    sentences_drawn = Counter(normalize(call_sentence(rng)) for _ in range(12_000))
    words = {word for sentence in sentences_drawn for word in sentence.split()}
    assert len(words) > 6000
    assert len(sentences_drawn) > 9000
    assert sentences_drawn.most_common(1)[0][1] < 60
    lengths = Counter(normalize(reply(rng)).count(" ") + 1 for _ in range(2000))
    assert min(lengths[1], lengths[2], lengths[3]) > 100


def test_sentences_drops_what_cannot_be_read_aloud():
    text = "Это хорошее предложение. Открой файл README сейчас. Цена 3,5 рубля. Дом № 5, т.е. мой. Ему было 25 лет!"
    assert list(sentences(text)) == ["Это хорошее предложение.", "Ему было двадцать пять лет!"]


def test_yo_is_restored_only_where_a_careful_source_always_writes_it():
    restore = YoRestorer(["Ещё одно всё. Ещё самолёт. Пошёл дальше. Все тут, все там.", "еще еще еще самолет"])
    assert restore("Еще САМОЛЕТ, все!") == "Ещё САМОЛЁТ, все!"


def test_sampler_never_draws_held_out_or_excluded_sentences(tmp_path):
    rows = [f"help\tэто предложение номер {letter} для проверки\n" for letter in ALPHABET.strip()]
    rows += ["recorded\tзаписанная фраза диктора звучит тут\n"]
    (tmp_path / "train.tsv").write_text("".join(rows), encoding="utf-8")
    banned = normalize("это предложение номер к для проверки")
    (tmp_path / "excluded.txt").write_text(f"{fingerprint(banned)}\n")
    sampler = TextSampler(tmp_path, random.Random(1))
    labels = [sampler.draw()[1] for _ in range(1500)]
    assert banned not in labels
    assert not any(is_held_out(label) for label in labels)
    assert "это предложение номер л для проверки" in labels
    assert len(set(labels)) > 400
