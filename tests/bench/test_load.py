"""Whole loads, generator processes included, on a service that can misbehave."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import psutil
import pytest
from tritone_bench import reference
from tritone_bench.calls import Call
from tritone_bench.errors import ServiceError
from tritone_bench.fleet import Fleet, Load
from tritone_bench.level import Level, summarise
from tritone_bench.task import Outcome, Report

from tests.bench.fake_service import Running

pytestmark = pytest.mark.unit
STAGES = ["queue", "network"]


def prepared(fake: Running, spoken: list[Call]) -> Fleet:
    reference.record("127.0.0.1", fake.port, spoken, {})
    return Fleet("127.0.0.1", fake.port, spoken, {})


def go(fleet: Fleet, streams: int, seconds: float = 2.0, processes: int = 1, **load: float) -> tuple[Level, Report]:
    wanted = Load(streams=streams, warm_s=1.0, measure_s=seconds, ramp_s=0.5, **load)  # type: ignore[arg-type]
    report = fleet.run(wanted, processes)
    return summarise(report, streams, 100.0, STAGES), report


def test_streams_are_paced_and_checked(fake: Running, spoken: list[Call]) -> None:
    with prepared(fake, spoken) as fleet:
        level, report = go(fleet, 12, seconds=3.0, processes=2)
    assert level.failed == ""
    # 12 streams of one chunk per 300 ms for 3 s, give or take the chunks at both edges
    assert abs(level.chunks - 120) <= 12
    assert level.chunks_per_s == pytest.approx(40.0, rel=0.12)
    assert (report.outcome == Outcome.ANSWERED).all()
    # Calls of about 2.4 s were begun anew; all that ended were compared.
    assert report.begun > 12
    assert report.checked >= 12
    assert (level.wrong, level.differing, level.lost, level.refused) == (0, 0, 0, 0)
    assert [stage.name for stage in level.stages] == ["transport", *STAGES]
    assert level.stages[2].mean_us == 2.0
    # Phases are random: chunks are due all over the 300 ms.
    assert np.histogram(report.due_s % 0.3, bins=3, range=(0, 0.3))[0].min() > 0


def test_latency_runs_from_the_schedule_not_from_the_sending(fake: Running, spoken: list[Call]) -> None:
    """An answer that takes 450 ms delays the next chunk's sending; both delays must be seen."""
    with prepared(fake, spoken) as fleet:
        fake.service.delay_s = 0.45
        level, report = go(fleet, 3, seconds=2.4)
    assert level.late > 0.6 * level.chunks
    assert float(report.latency_s.max()) > 0.9, "lateness adds up when answers take longer than a chunk"
    assert level.failed.startswith("p99")


def test_wrong_words_are_noticed(fake: Running, spoken: list[Call]) -> None:
    with prepared(fake, spoken) as fleet:
        fake.service.wrong_after = fake.service.requests + 40
        level, _ = go(fleet, 6)
    assert level.wrong > 0
    assert "wrong words" in level.failed
    call, expected, got = level.mistakes[0]
    assert "wrong" in got
    assert "wrong" not in expected
    assert call.startswith("clip")


def test_other_times_with_the_same_words_are_not_wrong(fake: Running, spoken: list[Call]) -> None:
    with prepared(fake, spoken) as fleet:
        for call in spoken:
            call.reference = [events.replace(b'"end": 0.3', b'"end": 0.6') for events in call.reference]
        level, _ = go(fleet, 4)
    assert level.failed == ""
    assert level.differing == level.checked > 0


def test_refused_streams(fake: Running, spoken: list[Call]) -> None:
    with prepared(fake, spoken) as fleet:
        fake.service.full_at = 4
        level, report = go(fleet, 8)
    assert level.refused >= 4
    assert level.lost == 0
    assert "4 of 4 are taken" in level.failed
    assert max(report.errors.values()) == level.refused


def test_a_service_that_dies(fake: Running, spoken: list[Call]) -> None:
    with prepared(fake, spoken) as fleet:
        threading.Timer(2.5, fake.die).start()
        begun = time.monotonic()
        level, report = go(fleet, 6, seconds=20.0)
        assert time.monotonic() - begun < 10.0, "the rest of the window is not waited for"
    assert report.fatal is not None
    assert "broke" in report.fatal
    assert level.failed == report.fatal


def test_a_service_that_is_not_there(spoken: list[Call], fake: Running) -> None:
    with prepared(fake, spoken) as fleet:
        fake.die()
        with pytest.raises(ServiceError, match="no service at"):
            go(fleet, 4)


def test_a_service_that_stalls(fake: Running, spoken: list[Call]) -> None:
    with prepared(fake, spoken) as fleet:
        fake.service.stall_after = fake.service.requests + 30
        level, _ = go(fleet, 6, seconds=20.0, stall_s=1.0)
    assert "stalls" in level.failed
    assert level.lost > 0


def test_arrivals(fake: Running, spoken: list[Call]) -> None:
    with prepared(fake, spoken) as fleet:
        level, report = go(fleet, 0, seconds=4.0, arrivals_per_s=8.0, mean_call_s=1.0)
    assert level.failed == ""
    assert 15 <= report.begun <= 70
    assert report.checked == report.begun


def test_nothing_is_left_running(fake: Running, spoken: list[Call]) -> None:
    before = {process.pid for process in psutil.Process(os.getpid()).children(recursive=True)}
    with prepared(fake, spoken) as fleet:
        go(fleet, 4, seconds=1.0, processes=2)
        pids = fleet.pids
        assert len(pids) == 2
    time.sleep(0.2)
    left = {process.pid for process in psutil.Process(os.getpid()).children(recursive=True)} - before
    assert not left & set(pids)
    assert not fake.service.live, "every call was ended"
