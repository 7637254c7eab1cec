"""Cases small enough to be counted by hand."""

import pytest
from tritone_bench.accuracy.scoring import align, count, difference, frequent, rate

pytestmark = pytest.mark.unit


def test_each_kind_of_error() -> None:
    # said:  мама мыла    раму чисто
    # heard: мама  -   ну рану чисто  -> cheapest: мыла/ну, раму/рану: two substitutions
    found = count("мама мыла раму чисто", "мама ну рану чисто")
    assert (found.words, found.substitutions, found.insertions, found.deletions) == (4, 2, 0, 0)
    found = count("один два три", "один три")
    assert (found.substitutions, found.insertions, found.deletions) == (0, 0, 1)
    found = count("один три", "один два три четыре")
    assert (found.substitutions, found.insertions, found.deletions) == (0, 2, 0)
    assert found.errors == 2


def test_letters() -> None:
    # кот -> код: one substitution; the space and "а" of "код а" are two more letters
    found = count("кот", "код а")
    assert (found.letters, found.letter_errors) == (3, 3)
    assert count("а б", "аб").letter_errors == 1


def test_nothing_heard_and_nothing_said() -> None:
    assert count("раз два", "").deletions == 2
    assert count("", "раз два").insertions == 2
    assert count("", "").errors == 0


def test_an_alignment_names_its_words() -> None:
    pairs = align(["а", "б", "в", "г"], ["а", "в", "х", "г"])
    assert [(p.kind, p.reference, p.hypothesis) for p in pairs] in (
        [("equal", 0, 0), ("deletion", 1, -1), ("equal", 2, 1), ("insertion", -1, 2), ("equal", 3, 3)],
        [("equal", 0, 0), ("substitution", 1, 1), ("substitution", 2, 2), ("equal", 3, 3)],
    )


def test_a_rate_is_of_all_words_and_not_a_mean_of_clips() -> None:
    # 1 of 1 wrong and 1 of 9 wrong are 2 of 10, not the mean of 100 % and 11 %
    found = rate([1, 1], [1, 9])
    assert found.percent == pytest.approx(20.0)
    # drawing clips can only give (1,1): 100 %, (1,9): 20 %, (9,9): 11.1 %
    assert found.low == pytest.approx(100 / 9)
    assert found.high == pytest.approx(100.0)


def test_equal_clips_leave_no_doubt() -> None:
    found = rate([1] * 30, [4] * 30)
    assert (found.percent, found.low, found.high) == pytest.approx((25.0, 25.0, 25.0))


def test_an_interval_narrows_with_the_root_of_the_clips() -> None:
    few, many = rate([0, 1] * 20, [2] * 40), rate([0, 1] * 320, [2] * 640)
    # standard error of the mean of shares 0 and 0.5: 0.25/sqrt(n); the 95 % interval is 2*1.96 of them
    assert few.high - few.low == pytest.approx(100 * 2 * 1.96 * 0.25 / 40**0.5, rel=0.15)
    assert many.high - many.low == pytest.approx((few.high - few.low) / 4, rel=0.15)


def test_no_words() -> None:
    assert rate([0], [0]).percent == 0.0


def test_a_paired_difference_is_surer_than_two_rates() -> None:
    first, lengths = [0, 8] * 20, [10] * 40
    second = [errors + (index % 4 == 0) for index, errors in enumerate(first)]  # 10 errors more on 400 words
    found = difference(first, second, lengths)
    assert found.percent == pytest.approx(2.5)
    assert 0.0 < found.low < 2.5 < found.high < 5.0
    alone = rate(first, lengths)
    assert alone.high - alone.low > 2 * (found.high - found.low)


def test_frequent_errors() -> None:
    texts = [("да нет", "та нет"), ("да", "та"), ("он да", "да"), ("что", "что что")]
    assert frequent(texts) == [("да", "та", 2), ("", "что", 1), ("он", "", 1)]
    assert frequent(texts, most=1) == [("да", "та", 2)]
