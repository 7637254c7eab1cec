"""The soak's verdict on runs made up to be flat, to leak, to lose; its samples, its visitors, its pages."""

from __future__ import annotations

import copy
import mmap
import os
import random
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from tritone_bench import reference
from tritone_bench.calls import Call
from tritone_bench.level import Level
from tritone_bench.soak import pages, verdict
from tritone_bench.soak.command import mean_length_s
from tritone_bench.soak.record import Interval, Plan, Soak, intervals
from tritone_bench.soak.samples import Sampler, left_behind, shared_memory
from tritone_bench.soak.trend import trend
from tritone_bench.soak.visitors import Visitors
from tritone_bench.task import Outcome, Report

from tests.bench.fake_service import Running

pytestmark = pytest.mark.unit
PLAN = Plan(capacity=40, share=0.8, mean_call_s=14.0, seconds=3600.0, warm_s=600.0, interval_s=60.0, sample_s=10.0)


def made_up(**grows: float) -> Soak:
    """An hour of a service that serves 32 calls; series named in `grows` rise by so much an hour."""
    draw = random.Random(3)

    def value(name: str, base: float, noise: float, second: float) -> float:
        return base + draw.uniform(-noise, noise) + grows.get(name, 0.0) * second / 3600

    soak = Soak("2026-01-01T00:00:00Z", "host", "tritone bench soak", "0", {"cores": "2"}, {}, {}, PLAN, 300.0, 5.0)
    for second in np.arange(0.0, 3680.0, PLAN.sample_s):
        # Before the end of the warm-up everything grows, as it does when caches fill.
        warming = max(0.0, 600.0 - second) / 600.0
        row = {"second": float(second), "live": float(draw.randint(24, 40)), "in haste": 0.0}
        row["MiB streaming_asr"] = value("memory", 230.0, 1.0, second) - 30.0 * warming
        row["files tritonserver"] = float(round(value("files", 23.0, 0.4, second)))
        row["threads tritonserver"] = float(round(value("threads", 94.0, 0.0, second)))
        row["shared MiB"] = value("shared", 2.0, 0.0, second)
        soak.samples.rows.append(row)
    for begin in np.arange(0.0, 3600.0, 60.0):
        p99 = value("p99", 110.0, 25.0, begin)
        soak.intervals.append(Interval(float(begin), 6400, value("p50", 40.0, 3.0, begin), p99, p99 + 20.0, 0, 0, 3))
    soak.samples.first = soak.samples.last = {1, 2, 3}
    soak.level = Level(32, 3600.0, chunks=380_000, p99_ms=118.0, checked=8000, refused=160, lag_p99_ms=0.5)
    soak.level.errors = {"no free slot [tritone:full retry_after_s=2]": 160}
    soak.calls = 8160
    soak.guests.vanished = 120
    soak.after = {"live": 0.0, "free": 40.0, "slots": 40.0, "reaped": 120.0, "failed": 0.0, "restarts": 0.0}
    soak.emptied_s = 58.0
    soak.left_files = 0
    return soak


def failed(soak: Soak) -> list[str]:
    return [check.name for check in verdict.judge(soak) if not check.passed]


def test_a_flat_hour_passes() -> None:
    soak = made_up()
    assert failed(soak) == []
    assert verdict.passed(verdict.judge(soak))
    flat = [check for check in verdict.judge(soak) if check.name.startswith("flat")]
    assert len(flat) == 6


@pytest.mark.parametrize(
    ("series", "an_hour", "name"),
    [
        ("memory", 6.0, "flat: MiB streaming_asr"),
        ("files", 4.0, "flat: files tritonserver"),
        ("threads", 3.0, "flat: threads tritonserver"),
        ("shared", 1.5, "flat: shared MiB"),
        ("p99", 60.0, "flat: p99 of an interval"),
        ("p50", 25.0, "flat: p50 of an interval"),
    ],
)
def test_a_slow_leak_fails(series: str, an_hour: float, name: str) -> None:
    """Far below what anybody would see in a minute, and under noise."""
    assert failed(made_up(**{series: an_hour})) == [name]


def test_a_heap_that_fills_and_levels_off_passes_and_one_that_goes_on_does_not() -> None:
    def filling(goes_on: float) -> Soak:
        soak = made_up()
        for row in soak.samples.rows:
            second = row["second"]
            row["MiB streaming_asr"] += 12.0 * (1.0 - 2.0 ** (-second / 600.0)) + goes_on * second / 3600
        return soak

    name = "flat: MiB streaming_asr"
    judged = {check.name: check for check in verdict.judge(filling(0.0))}
    assert float(judged[name].seen.split("MiB, +")[1].split()[0]) > 4.0  # above the bound over the whole hour
    assert judged[name].passed
    assert failed(filling(3.0)) == [name]


def test_what_shrinks_or_hardly_grows_passes() -> None:
    assert failed(made_up(memory=-50.0, p99=-40.0)) == []
    assert failed(made_up(memory=1.0)) == []


def lose(soak: Soak, **values: object) -> None:
    for name, value in values.items():
        setattr(soak.level, name, value)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (lambda soak: lose(soak, lost=1), "no chunk lost"),
        (lambda soak: lose(soak, wrong=1), "no wrong word"),
        (lambda soak: lose(soak, p99_ms=301.0), "p99 of all chunks"),
        (lambda soak: lose(soak, lag_p99_ms=9.0), "generator on time"),
        (lambda soak: lose(soak, errors={"it broke [tritone:internal]": 2}), "refusals have a type"),
        (lambda soak: setattr(soak.guests, "failed", 1), "refusals have a type"),
        (lambda soak: setattr(soak, "left_files", 1), "nothing in /dev/shm after the end"),
        (lambda soak: setattr(soak, "emptied_s", None), "slots return"),
        (lambda soak: soak.after.update(free=39.0), "slots return"),
        (lambda soak: soak.after.update(reaped=121.0), "only the vanished were reaped"),
        (lambda soak: soak.after.update(restarts=1.0), "no trouble inside"),
        (lambda soak: setattr(soak.samples, "last", {1, 2, 4}), "same processes"),
        (lambda soak: [row.update(live=9.0) for row in soak.samples.rows], "load was carried"),
        (lambda soak: setattr(soak, "level", None), "calls"),
    ],
)
def test_each_defect_fails(spoil: Callable[[Soak], object], name: str) -> None:
    soak = made_up()
    spoil(soak)
    assert failed(soak) == [name]


@pytest.mark.parametrize(
    ("in_haste", "wrong", "failures"),
    [
        (1, 1, []),
        (8, 1, []),
        (8, 8, []),
        (8, 9, ["no wrong word"]),
        (9, 1, ["finals have time"]),
    ],
)
def test_words_for_want_of_time_are_counted_and_bounded(in_haste: int, wrong: int, failures: list[str]) -> None:
    """In 8 000 calls up to 8 finals; other words than theirs fail."""
    soak = made_up()
    lose(soak, wrong=wrong)
    for row in soak.samples.rows:
        row["in haste"] = float(in_haste * (row["second"] > 2000))
    assert failed(soak) == failures


def test_half_a_minute_is_not_judged_by_its_noise_times_120() -> None:
    """Half a MiB in twenty seconds is 90 an hour; what a run that short can show is a leak of megabytes a second."""
    noisy = [(float(second), 200.0 + 0.025 * second) for second in range(20)]
    assert trend(noisy).per_hour == pytest.approx(90.0)
    assert not verdict.BOUNDS["MiB"].broken_by(trend(noisy), trend(noisy[13:]))
    leaking = [(second, 200.0 + second) for second, _ in noisy]
    assert verdict.BOUNDS["MiB"].broken_by(trend(leaking), trend(leaking[13:]))


def test_a_trend_is_not_moved_by_single_wild_values() -> None:
    points = [(float(second), 50.0) for second in range(100)]
    points[10], points[90] = (10.0, 0.0), (90.0, 5000.0)
    assert trend(points).per_hour == 0.0
    assert trend(points).median == 50.0
    assert trend([]).per_hour == trend(points[:2]).per_hour == 0.0


def test_intervals() -> None:
    due = np.array([0.5, 1.0, 1.9, 2.1, 2.2, 4.1])
    outcome = np.array([0, 0, Outcome.FAILED, 0, Outcome.REFUSED, 0], np.uint8)
    latency = np.array([0.1, 0.2, 5.0, 0.4, 0.001, 0.1], np.float32)
    found = intervals(Report(due, latency, outcome, np.empty(0), np.empty((0, 1))), 2.0)
    # The last chunk alone does not make an interval.
    assert [(one.second, one.chunks, one.late, one.lost, one.refused) for one in found] == [
        (0.0, 3, 1, 1, 0),
        (2.0, 1, 1, 0, 1),
    ]
    assert found[1].p99_ms == pytest.approx(400.0)


def test_mean_length_of_calls_that_are_broken_off(spoken: list[Call]) -> None:
    draw = random.Random(1)
    lengths = [min(draw.expovariate(1 / 2.0), draw.choice(spoken).seconds) for _ in range(20_000)]
    assert mean_length_s(spoken, 2.0) == pytest.approx(sum(lengths) / len(lengths), rel=0.03)


def test_calls_that_are_broken_off_in_a_phrase_are_not_wrong(fake: Running, spoken: list[Call]) -> None:
    """The flush of half a phrase has no counterpart in a call that went on, so it is not compared."""
    from tests.bench.test_load import go, prepared

    fake.service.flushes = True
    with prepared(fake, spoken) as fleet:
        level, report = go(fleet, 4, seconds=3.0, arrivals_per_s=6.0, mean_call_s=0.9)
    assert report.finished < report.checked, "some were broken off"
    assert (level.wrong, level.failed) == (0, "")


def test_samples_of_this_process() -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.write(bytes(8192))
        file.flush()
        with mmap.mmap(file.fileno(), 8192):
            assert shared_memory([psutil.Process()])[file.name] == 8192
            with Sampler(psutil.Process(), "", 0.05) as sampler:
                time.sleep(0.5)
        assert left_behind(sampler.samples.shared_files) == [file.name]
    assert left_behind(sampler.samples.shared_files) == []
    row = sampler.samples.rows[-1]
    assert len(sampler.samples.rows) >= 4
    assert row["shared MiB"] >= 8192 / 2**20
    assert row["MiB supervisor"] > 10
    assert row["files supervisor"] >= 3
    assert os.getpid() in sampler.samples.first & sampler.samples.last
    assert [second for second, _ in sampler.samples.series("threads supervisor", 0.1, 0.3)]


def test_visitors_come_on_connections_of_their_own_and_some_vanish(fake: Running, spoken: list[Call]) -> None:
    reference.record("127.0.0.1", fake.port, spoken, {})
    with Visitors("127.0.0.1", fake.port, every_s=0.05, vanish_every=3) as visitors:
        time.sleep(1.0)
    guests = visitors.guests
    assert guests.served > 2 * guests.vanished > 4
    assert (guests.refused, guests.failed) == (0, 0)
    assert len(fake.service.live) == guests.vanished
    fake.service.full_at = 0
    with Visitors("127.0.0.1", fake.port, every_s=0.05) as visitors:
        time.sleep(0.3)
    assert visitors.guests.refused > 0
    fake.die()
    with Visitors("127.0.0.1", fake.port, every_s=0.05) as visitors:
        time.sleep(0.3)
    assert "no service at" in visitors.guests.error


def test_the_pages(tmp_path: Path) -> None:
    soak = made_up(memory=30.0)
    soak.remark = "<others> worked & built"
    checks = verdict.judge(soak)
    soak.save(tmp_path, verdict.plain(checks))
    pages.write(tmp_path, soak, checks)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("soak.json", "samples.csv", "intervals.csv", "soak.svg", "report.html", "report.md")
    }
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 300_000
    drawn = ElementTree.parse(tmp_path / "soak.svg").getroot()
    titles = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Resident memory", "Open files", "Threads", "Latency of a chunk"} <= set(titles)
    for text in ((tmp_path / name).read_text() for name in ("report.html", "report.md", "soak.svg")):
        assert "FAILED: flat: MiB streaming_asr" in text
        assert "<others>" not in text or "report.md" in text or "| remark" in text
    assert pages.summary(soak, checks)[0].startswith("Soak FAILED")
    flat = copy.copy(soak)
    flat.samples = made_up().samples
    assert pages.summary(flat, verdict.judge(flat))[0].startswith("Soak passed (80% of 40 streams for 60 min")
