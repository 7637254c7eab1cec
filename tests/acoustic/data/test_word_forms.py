"""Forms from a spelling dictionary and exchanged words: `word_forms`; pauses to cut at: `breaths`."""

import random

import numpy as np
from tritone_acoustic.data.audio import Clip
from tritone_acoustic.data.breaths import phrases, read_cuts, write_cuts
from tritone_acoustic.data.word_forms import Exchange, forms_of, read_rules

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
