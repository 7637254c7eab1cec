import pytest
from tritone_acoustic.data.numerals import cardinal, decline, genitive, ordinal, plural

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("number", "gender", "words"),
    [
        (0, "m", "ноль"),
        (1, "f", "одна"),
        (2, "f", "две"),
        (14, "m", "четырнадцать"),
        (21, "n", "двадцать одно"),
        (340, "m", "триста сорок"),
        (1000, "m", "одна тысяча"),
        (2002, "f", "две тысячи две"),
        (11_000, "m", "одиннадцать тысяч"),
        (5_000_121, "m", "пять миллионов сто двадцать один"),
    ],
)
def test_cardinals(number, gender, words):
    assert cardinal(number, gender) == words


def test_cardinals_out_of_range():
    with pytest.raises(ValueError, match="-1"):
        cardinal(-1)
    with pytest.raises(ValueError, match="only 0"):
        cardinal(10**12)


def test_genitive_of_every_kind_of_number():
    assert genitive(0) == "нуля"
    assert genitive(7) == "семи"
    assert genitive(16) == "шестнадцати"
    assert genitive(42) == "сорока двух"
    assert genitive(990) == "девятисот девяноста"


@pytest.mark.parametrize(
    ("number", "case", "gender", "words"),
    [
        (21, "gen", "f", "двадцати одной"),
        (21, "ins", "f", "двадцатью одной"),
        (58, "ins", "m", "пятьюдесятью восемью"),
        (40, "dat", "m", "сорока"),
        (211, "dat", "f", "двумстам одиннадцати"),
        (300, "prep", "m", "трёхстах"),
        (893, "ins", "m", "восемьюстами девяноста тремя"),
        (0, "dat", "m", "нулю"),
    ],
)
def test_oblique_cardinals(number, case, gender, words):
    assert decline(number, case, gender) == words


def test_oblique_cardinals_out_of_range():
    with pytest.raises(ValueError, match="1000"):
        decline(1000, "ins")


@pytest.mark.parametrize(
    ("number", "form", "words"),
    [
        (3, "f", "третья"),
        (3, "genitive", "третьего"),
        (15, "m", "пятнадцатый"),
        (40, "n", "сороковое"),
        (100, "m", "сотый"),
        (215, "m", "двести пятнадцатый"),
        (1985, "genitive", "тысяча девятьсот восемьдесят пятого"),
        (2000, "genitive", "двухтысячного"),
        (2010, "genitive", "две тысячи десятого"),
    ],
)
def test_ordinals(number, form, words):
    assert ordinal(number, form) == words


def test_ordinals_out_of_range():
    with pytest.raises(ValueError, match="5000"):
        ordinal(5000)


def test_plural_forms():
    forms = [plural(number, "рубль", "рубля", "рублей") for number in (1, 3, 5, 11, 12, 21, 104, 111)]
    assert forms == ["рубль", "рубля", "рублей", "рублей", "рублей", "рубль", "рубля", "рублей"]
