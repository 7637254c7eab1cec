"""Words read off a growing path, whatever was corrected since, are those of the whole path read at once."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritone_backend.decoding.path_words import PathWords
from tritone_backend.decoding.words import Token, collapse, split_words

from tests.backend.decoding.conftest import rows

pytestmark = pytest.mark.unit
LETTERS = "аб- "


def whole(spec, before, path, logprobs, frames):
    """Complete words alone."""
    tokens = [*before, *collapse(spec, logprobs, frames, path)]
    while tokens and tokens[-1].character != " ":
        tokens.pop()
    return split_words(tokens)


@given(seed=st.integers(0, 10**6))
def test_corrections_and_growth(spec, seed):
    rng = random.Random(seed)
    before = [Token(number, letter, 0.5) for number, letter in enumerate(rng.choice(["", " а", "а ", " а б"]))]
    logprobs = list(rows("".join(rng.choice(LETTERS) for _ in range(60)), spec))
    frames = sorted(rng.sample(range(10, 500), 60))
    numbers = [spec.blank if letter == "-" else spec.labels.index(letter) for letter in LETTERS]
    reader, path = PathWords(spec, before), []
    for _ in range(12):
        del path[max(0, len(path) - rng.choice([0, 0, 1, 5, 60])) :]
        path = path + [rng.choice(numbers) for _ in range(rng.randrange(0, 61 - len(path)) if len(path) < 60 else 0)]
        assert reader.read(path, logprobs, frames) == whole(spec, before, path, logprobs, frames)


def test_words_that_stay_are_the_same_objects(spec):
    logprobs = rows("да нет да ", spec)
    path = [int(row.argmax()) for row in logprobs]
    reader = PathWords(spec)
    first = reader.read(path[:7], logprobs, range(10))
    again = reader.read(path, logprobs, range(10))
    assert [word.text for word in again] == ["да", "нет", "да"]
    assert again[0] is first[0]
    assert again[1] is first[1]
