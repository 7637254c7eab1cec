import pytest
from tritone_bench.accuracy.delays import Delays
from tritone_bench.accuracy.streaming import Shown

pytestmark = pytest.mark.unit


def partial(arrived: float, text: str) -> Shown:
    return Shown(arrived, False, tuple(text.split()))


def final(arrived: float, text: str, *ends: float) -> Shown:
    return Shown(arrived, True, tuple(text.split()), ends)


def test_delays_of_a_phrase() -> None:
    delays = Delays()
    delays.add([partial(0.9, "добрый"), partial(1.2, "добрый де"), partial(1.5, "добрый день"),
                final(2.5, "добрый день", 0.6, 1.1)])  # fmt: skip
    assert delays.right == delays.seen == pytest.approx([300.0, 400.0])  # "де" was not yet the word
    assert delays.final == pytest.approx([1900.0, 1400.0])
    assert delays.closed == pytest.approx([1400.0])
    assert delays.respelt == 0


def test_a_word_that_only_the_final_shows() -> None:
    delays = Delays()
    delays.add([partial(0.9, "да"), final(2.0, "да конечно", 0.5, 1.0)])
    assert delays.seen == delays.right == pytest.approx([400.0, 1000.0])
    assert delays.summary()["respelt_by_final_percent"] == 50.0


def test_a_word_that_the_final_spells_otherwise() -> None:
    delays = Delays()
    delays.add([partial(0.9, "доб"), partial(1.2, "добрый"), partial(1.5, "добрый тень"), partial(1.8, "добрый тень"),
                final(2.5, "добрый день", 0.6, 1.1)])  # fmt: skip
    assert delays.seen == pytest.approx([600.0, 400.0])  # "тень" stood for it from 1.5 s on
    assert delays.right == pytest.approx([600.0, 1400.0])
    assert (delays.respelt, delays.settled, delays.changed_by_final) == (1, 2, 1)


def test_a_word_said_twice_is_seen_twice() -> None:
    delays = Delays()
    delays.add([partial(0.6, "да"), partial(0.9, "да да"), final(2.0, "да да", 0.4, 0.8)])
    assert delays.seen == delays.right == pytest.approx([200.0, 100.0])


def test_a_word_moved_by_one_inserted_before_it_is_the_same_word() -> None:
    delays = Delays()
    delays.add([partial(0.6, "мир"), partial(0.9, "мир"), partial(1.2, "весь мир"), final(2.0, "весь мир", 0.4, 0.8)])
    assert (delays.settled, delays.changed, delays.changed_by_final) == (1, 0, 0)
    assert delays.right == pytest.approx([800.0, -200.0])


def test_words_taken_back() -> None:
    delays = Delays()
    delays.add(
        [
            partial(0.3, "он"),
            partial(0.6, "он при"),  # "он" is shown twice
            partial(0.9, "он пришёл"),  # "при" was shown once: no change
            partial(1.2, "она пришёл"),  # "он" is taken back; "пришёл" is shown twice
            final(2.0, "она пришла", 0.5, 0.9),  # "пришёл" only by the final; "она" was shown once
        ]
    )
    assert (delays.settled, delays.changed, delays.changed_by_final) == (2, 1, 1)
    assert delays.summary()["changed_later_percent"] == 50.0


def test_phrases_do_not_mix() -> None:
    delays = Delays()
    delays.add([partial(0.3, "раз"), partial(0.6, "раз"), final(1.0, "раз", 0.2), partial(1.5, "два"),
                final(2.0, "два", 1.4)])  # fmt: skip
    assert (delays.settled, delays.changed, delays.changed_by_final) == (1, 0, 0)
    assert delays.right == pytest.approx([100.0, 100.0])


def test_a_curve_goes_up_to_all_words() -> None:
    delays = Delays()
    delays.add([partial(0.5 + 0.1 * n, "а") for n in range(3)] + [final(1.0, "а", 0.3)])
    curve = delays.curves()["final"]
    assert curve[-1] == [pytest.approx(700.0), 100.0]
    assert Delays().summary() == {}
