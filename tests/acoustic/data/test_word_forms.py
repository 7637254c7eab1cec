"""Forms from a spelling dictionary and exchanged words: `word_forms`, `frequencies`; pauses to cut at: `breaths`."""

import gzip
import random

import numpy as np
import pytest
from tritone_acoustic.data.audio import Clip
from tritone_acoustic.data.breaths import phrases, read_cuts, write_cuts
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.frequencies import read_frequencies
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.word_forms import Exchange, Favourites, forms_of, read_rules, read_word_forms

RULES = """SET UTF-8
SFX K Y 3
SFX K   0    а    [^ая]
SFX K   а    у    а
SFX K   ок   ка   ок
"""
LABELS = """#
0.30 125 pau
0.40 125 v
0.50 125 m
0.60 125 ii
0.70 125 rr
0.80 125 ae
1.20 125 pau
1.30 125 a
1.35 125 n
1.45 125 aa
1.60 125 pau
"""


def test_forms_follow_the_rules():
    rules = read_rules(RULES)
    assert list(forms_of("дом/K", rules)) == ["дом", "дома"]
    assert list(forms_of("рыба/K", rules)) == ["рыба", "рыбу"]
    assert list(forms_of("носок/K", rules)) == ["носок", "носока", "носка"]
    assert list(forms_of("пальто", rules)) == ["пальто"]


def test_exchanged_words_end_alike():
    exchange = Exchange(["собака", "ворона", "красная", "странная"], random.Random(1), share=1.0)
    assert exchange("Прекрасная, не она!") in ("Красная, не она!", "Странная, не она!")
    assert exchange("кот на крыше") == "кот на крыше"


def _packed(steps):
    """MessagePack of the word list's header and its steps."""

    def text(word):
        data = word.encode()
        return (bytes([0xA0 + len(data)]) if len(data) < 32 else bytes([0xD9, len(data)])) + data

    parts = [bytes([0x82]) + text("format") + text("cB") + text("version") + b"\x01"]
    parts += [b"\xdc" + len(words).to_bytes(2, "big") + b"".join(map(text, words)) for words in steps]
    return gzip.compress(bytes([0x90 + len(parts)]) + b"".join(parts))


def test_word_list_is_read_and_damage_is_noticed(tmp_path):
    path = tmp_path / "list"
    long = "человеконенавистничество"
    path.write_bytes(_packed([[], ["и", "the"], [], [long]]))
    assert read_frequencies(path) == {"и": 1, "the": 1, long: 3}
    path.write_bytes(gzip.compress(b"\x93\x01"))
    with pytest.raises(TrainingDataError, match="data fetch"):
        read_frequencies(path)


def test_common_forms_come_first_with_their_dots(tmp_path):
    paths = DataPaths(tmp_path)
    folder = paths.packages / "usr/share/hunspell"
    folder.mkdir(parents=True)
    (folder / "ru_RU.aff").write_text(RULES, encoding="utf-8")
    (folder / "ru_RU.dic").write_text("6\nдом/K\nёлка\nвсё\nвсе\nносок/K\nпальто\n", encoding="utf-8")
    paths.frequencies.write_bytes(_packed([["все"], ["дома", "опечтка"], ["елка"], ["всё", "носка"]]))
    assert read_word_forms(paths, 4) == sorted(["все", "дома", "ёлка", "всё"])
    assert read_word_forms(paths, 1) == ["все"]
    # The other forms of used words, that of the more common word first; nobody uses the last word.
    assert set(read_word_forms(paths, 5)) - set(read_word_forms(paths, 4)) == {"носка"}
    assert set(read_word_forms(paths, 6)) - set(read_word_forms(paths, 5)) == {"дом"}
    assert set(read_word_forms(paths, 100)) == {"все", "дома", "ёлка", "всё", "носка", "дом", "носок", "носока"}


def test_common_words_are_drawn_more_often():
    draw = Favourites(random.Random(1))
    drawn = [draw("abcd") for _ in range(1000)]
    assert set(drawn) == set("abcd")
    assert 400 < drawn.count("a") < 600
    assert drawn.count("d") < 200


def test_cuts_are_between_words(tmp_path):
    lab = tmp_path / "one.lab"
    lab.write_text(LABELS)
    (cut,) = read_cuts(lab, "в мире она")
    assert (cut.words, cut.sample) == (2, 8000)
    assert read_cuts(lab, "в мире она была") == []  # the vowels do not add up


def test_phrases_are_runs_between_cuts(tmp_path):
    (tmp_path / "one.lab").write_text(LABELS)
    clip = Clip("one", "reader", "в мире она", np.arange(12800, dtype=np.int16))
    assert write_cuts([clip], tmp_path, tmp_path / "cuts") == 1
    first, second = phrases([clip], tmp_path / "cuts")
    assert (first.text, second.text) == ("в мире", "она")
    assert (len(first.samples), len(second.samples)) == (8000, 4800)
    assert phrases([clip], tmp_path / "none") == []
