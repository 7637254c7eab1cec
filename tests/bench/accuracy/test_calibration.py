import pytest
from tritone_bench.accuracy.calibration import calibrate, judged
from tritone_bench.accuracy.streaming import Heard, HeardWord

pytestmark = pytest.mark.unit


def test_the_error_by_hand() -> None:
    # 10 words at 0.95 of which 6 are right: off by 0.35. 10 at 0.35 of which 3 are right: off by 0.05.
    words = [(0.95, n < 6) for n in range(10)] + [(0.35, n < 3) for n in range(10)]
    found = calibrate(words)
    assert found is not None
    assert found.error == pytest.approx(100 * (0.5 * 0.35 + 0.5 * 0.05))
    assert [(b.words, b.confidence, b.right) for b in found.bins] == [
        (10, pytest.approx(0.35), pytest.approx(0.3)),
        (10, pytest.approx(0.95), pytest.approx(0.6)),
    ]
    assert (found.words, found.right) == (20, pytest.approx(0.45))


def test_full_confidence_has_a_bin() -> None:
    found = calibrate([(1.0, True), (0.0, False)])
    assert found is not None
    assert found.error == 0.0


def test_no_words() -> None:
    assert calibrate([]) is None


def test_right_is_what_the_alignment_says() -> None:
    heard = Heard("а х в", [HeardWord("а", 0, 1, 0.9), HeardWord("х", 1, 2, 0.4), HeardWord("в", 2, 3, None)])
    assert judged("а б в", heard) == [(0.9, True), (0.4, False)]  # a word without confidence is not judged
