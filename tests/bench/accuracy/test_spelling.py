import pytest
from tritone_bench.accuracy.spelling import cardinal, fold_yo, normalise

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Алло! Кто это?", "алло кто это"),
        ("по-русски", "по русски"),
        ("в 21:30, дом №5", "в двадцать один тридцать дом номер пять"),
        ("100%", "сто процентов"),
        ("+7 916", "плюс семь девятьсот шестнадцать"),
        ("089161234567", "ноль восемь девять один шесть один два три четыре пять шесть семь"),
        ("007", "ноль ноль семь"),
        ("12\u00a0500 рублей", "двенадцать тысяч пятьсот рублей"),
        ("з+амок и замо\u0301к", "замок и замок"),
        ("Е\u0308лка", "ёлка"),
        ("call центр", "call центр"),
        ("  ...  ", ""),
    ],
)
def test_what_is_said(written: str, spoken: str) -> None:
    assert normalise(written) == spoken


@pytest.mark.parametrize(
    ("number", "spoken"),
    [
        (0, "ноль"),
        (11, "одиннадцать"),
        (42, "сорок два"),
        (1000, "одна тысяча"),
        (2011, "две тысячи одиннадцать"),
        (11_000, "одиннадцать тысяч"),
        (21_001, "двадцать одна тысяча один"),
        (3_000_005, "три миллиона пять"),
        (1_012_000_000, "один миллиард двенадцать миллионов"),
    ],
)
def test_cardinals(number: int, spoken: str) -> None:
    assert cardinal(number) == spoken


def test_a_number_beyond_words() -> None:
    with pytest.raises(ValueError, match="too large"):
        cardinal(10**12)


def test_yo() -> None:
    assert fold_yo("Ёж ещё") == "Еж еще"
