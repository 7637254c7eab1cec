"""The n-gram estimator sums to one and prunes consistently, KenLM reads what is written, pieces join to their words."""

import numpy as np
import pytest
from tritone_acoustic.errors import AcousticError
from tritone_acoustic.language.kenlm_file import pack
from tritone_acoustic.language.kneser_ney import KneserNey, Prior
from tritone_acoustic.language.units import Pieces, letter_pieces

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(1)
    return [(rng.zipf(1.5, rng.integers(1, 12)) % 20).astype(np.int64) for _ in range(400)]


def read(path):
    """Log10 probability and back-off by n-gram."""
    grams = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split("\t")
        if len(fields) > 1:
            grams[tuple(fields[1].split())] = (float(fields[0]), float(fields[2]) if len(fields) > 2 else 0.0)
    return grams


def probability(grams, context, unit):
    if (*context, unit) in grams:
        return 10 ** grams[(*context, unit)][0]
    return 10 ** grams.get(context, (0.0, 0.0))[1] * probability(grams, context[1:], unit)


@pytest.mark.parametrize("cutoffs", [(0, 0, 0), (0, 0, 1), (0, 1, 2)])
def test_probabilities_after_any_context_sum_to_one(corpus, cutoffs, tmp_path):
    vocabulary = [f"w{n}" for n in range(22)]  # two that no sentence has
    model = KneserNey(vocabulary, corpus, 3, cutoffs)
    model.write_arpa(tmp_path / "model.arpa")
    grams = read(tmp_path / "model.arpa")
    predicted = [*vocabulary, "<unk>", "</s>"]
    for context in [(), ("<s>",), ("w1",), ("<s>", "w1"), ("w1", "w2"), ("w19", "w19"), ("w21",)]:
        assert sum(probability(grams, context, unit) for unit in predicted) == pytest.approx(1, abs=2e-3)
    for gram in grams:  # what a longer n-gram needs is there
        assert len(gram) == 1 or (gram[:-1] in grams and gram[1:] in grams)


def test_a_prior_moves_single_units_and_sums_to_one(corpus, tmp_path):
    vocabulary = [f"w{n}" for n in range(22)]
    base = np.full(22, 0.01)
    base[20], base[21] = 0.7, 0.1  # neither is in a sentence
    plain = KneserNey(vocabulary, corpus, 3, (0, 0, 0))
    told = KneserNey(vocabulary, corpus, 3, (0, 0, 0), Prior(base, 0.2))
    plain.write_arpa(tmp_path / "plain.arpa")
    told.write_arpa(tmp_path / "told.arpa")
    without, grams = read(tmp_path / "plain.arpa"), read(tmp_path / "told.arpa")
    for context in [(), ("w1",), ("w19", "w19")]:
        assert sum(probability(grams, context, u) for u in [*vocabulary, "<unk>", "</s>"]) == pytest.approx(1, abs=2e-3)
    assert probability(grams, (), "w20") > 0.1 > 5 * probability(without, (), "w20")
    assert probability(grams, (), "w20") > 5 * probability(grams, (), "w21")
    assert probability(grams, ("w1",), "w1") == pytest.approx(probability(without, ("w1",), "w1"), rel=0.5)


def test_members_share_the_probability_of_their_class(corpus, tmp_path):
    model = KneserNey([f"w{n}" for n in range(20)], corpus, 3, (0, 0, 0))
    members = np.ones(20, np.int64)
    members[1] = 100
    model.write_arpa(tmp_path / "plain.arpa")
    model.write_arpa(tmp_path / "shared.arpa", members)
    before, after = read(tmp_path / "plain.arpa"), read(tmp_path / "shared.arpa")
    for gram, (log10, backoff) in before.items():
        assert after[gram][0] == pytest.approx(log10 - 2 * (gram[-1] == "w1"), abs=2e-5)
        assert after[gram][1] == backoff


def test_kenlm_packs_it_and_refuses_what_is_none(corpus, tmp_path):
    pytest.importorskip("flashlight.lib.text")
    arpa, target = tmp_path / "model.arpa", tmp_path / "model.bin"
    KneserNey([f"w{n}" for n in range(20)], corpus, 3, (0, 0, 1)).write_arpa(arpa)
    pack(arpa, target)
    assert target.read_bytes().startswith(b"mmap lm http://kheafield.com/code")
    arpa.write_text("nothing\n")
    with pytest.raises(AcousticError, match="KenLM cannot pack"):
        pack(arpa, target)


def test_pieces_join_to_their_words():
    words = ["перевод", "переход", "приход", "доход", "проход", "входа", "выхода"]
    pieces = Pieces(words, 12)
    known = set(letter_pieces("абвгдежзийклмнопрстуфхцчшщъыьэюя"))
    for word in [*words, "ход", "щука", "я"]:
        split = pieces.split(word)
        assert "".join(piece.lstrip("+") for piece in split) == word
        assert all(piece.startswith("+") == (place > 0) for place, piece in enumerate(split))
    assert any("ход" in piece for piece in pieces.split("переход"))
    assert set(pieces.split("щука")) <= known | {"щу", "+ка", "+ук", "+ука"}
