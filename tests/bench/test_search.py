"""The search against services with a known capacity, without a network."""

from __future__ import annotations

import numpy as np
import pytest
from tritone_bench.errors import BenchError, LateGeneratorError, ServiceError, WrongWordsError
from tritone_bench.fleet import Interrupted, Load
from tritone_bench.level import Level
from tritone_bench.limits import limiting_stage
from tritone_bench.search import FULL, Outcome, find_capacity
from tritone_bench.task import Report

pytestmark = pytest.mark.unit


class Pretended:
    """Carries so many streams; the longer run may carry fewer."""

    def __init__(self, capacity: int, confirmed: int | None = None, **changes: object) -> None:
        self.capacity, self.confirmed, self.changes = capacity, confirmed or capacity, changes
        self.tried: list[tuple[int, float]] = []

    def measure(self, load: Load) -> tuple[Level, Report]:
        self.tried.append((load.streams, load.measure_s))
        level = Level(load.streams, load.measure_s, chunks=100, p99_ms=50.0)
        if load.streams > (self.confirmed if load.measure_s == FULL.confirm_s else self.capacity):
            level.failed = "p99 500 ms is above 100 ms"
        for name, value in self.changes.items():
            setattr(level, name, value)
        empty = np.zeros(0)
        return level, Report(empty, empty, empty, empty, np.zeros((0, 1)))  # type: ignore[arg-type]


def search(bench: Pretended, guess: int = 8, most: int = 10_000) -> Outcome:
    outcome = Outcome()
    find_capacity(bench, FULL, guess, most, 5.0, lambda step, level: None, outcome)  # type: ignore[arg-type]
    return outcome


@pytest.mark.parametrize("capacity", [1, 2, 3, 7, 8, 9, 57, 300, 9000])
@pytest.mark.parametrize("guess", [1, 8, 500])
def test_finds_the_capacity(capacity: int, guess: int) -> None:
    bench = Pretended(capacity)
    outcome = search(bench, guess)
    assert outcome.confirmed is not None
    assert capacity * (1 - FULL.tolerance) - 1 <= outcome.confirmed.streams <= capacity
    assert bench.tried[-1] == (outcome.confirmed.streams, FULL.confirm_s)
    assert len(bench.tried) < 25
    assert outcome.report is not None


def test_nothing_is_carried() -> None:
    outcome = search(Pretended(0))
    assert outcome.confirmed is None
    assert min(level.streams for level in outcome.levels) == 1


def test_never_more_than_the_slots() -> None:
    bench = Pretended(10**6)
    outcome = search(bench, most=100)
    assert outcome.confirmed is not None
    assert max(streams for streams, _ in bench.tried) == outcome.confirmed.streams == 100
    assert limiting_stage(outcome.levels, outcome.confirmed, 2).stage == "none"


def test_a_longer_run_may_say_less() -> None:
    outcome = search(Pretended(100, confirmed=93))
    assert outcome.confirmed is not None
    assert 85 <= outcome.confirmed.streams <= 93


def test_what_is_never_confirmed_is_no_result() -> None:
    with pytest.raises(BenchError, match="no load could be confirmed"):
        search(Pretended(100, confirmed=20))


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"wrong": 3, "failed": "3 of 9 calls came back with wrong words"}, WrongWordsError, "counts as nothing"),
        ({"lag_p99_ms": 30.0}, LateGeneratorError, "load generator was late"),
        ({"fatal": "the connection to the service broke"}, ServiceError, "broke"),
    ],
)
def test_what_must_not_be_believed(changes: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        search(Pretended(50, **changes))


@pytest.mark.parametrize(("degraded", "believed"), [(5, True), (3, True), (2, False)])
def test_greedy_words_for_want_of_time_are_a_load_too_high(degraded: int, believed: bool) -> None:
    """As long as the service's own counter accounts for every call with other words."""

    class Hurried(Pretended):
        def measure(self, load: Load) -> tuple[Level, Report]:
            level, report = super().measure(load)
            if load.streams > 40:
                level.wrong, level.usage.degraded = 3, degraded
                level.failed = "3 of 9 calls came back with greedy words for want of time"
            return level, report

    if not believed:
        with pytest.raises(WrongWordsError):
            search(Hurried(100))
        return
    outcome = search(Hurried(100))
    assert outcome.confirmed is not None
    assert 38 <= outcome.confirmed.streams <= 40


def test_a_failure_beside_busy_programs_is_tried_again() -> None:
    class Disturbed(Pretended):
        def measure(self, load: Load) -> tuple[Level, Report]:
            level, report = super().measure(load)
            level.usage.other_cores = 99.0
            if len(self.tried) == 1:
                level.failed = "p99 300 ms is above 100 ms"
            return level, report

    bench = Disturbed(40)
    outcome = search(bench, guess=32)
    assert outcome.confirmed is not None
    assert outcome.confirmed.streams >= 38
    assert [streams for streams, _ in bench.tried[:2]] == [32, 32]


def test_an_interruption_keeps_what_was_measured() -> None:
    class Interrupting(Pretended):
        def measure(self, load: Load) -> tuple[Level, Report]:
            if len(self.tried) == 2:
                interruption = Interrupted()
                interruption.level = Level(load.streams, 3.0, chunks=10)
                raise interruption
            return super().measure(load)

    outcome = Outcome()
    with pytest.raises(Interrupted):
        find_capacity(Interrupting(100), FULL, 8, 100, 5.0, lambda step, level: None, outcome)  # type: ignore[arg-type]
    assert [level.streams for level in outcome.levels] == [8, 16, 32]
