"""Records, reports, comparison and planning, from made-up runs."""

from __future__ import annotations

import argparse
import gzip
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tritone_bench import plan, results
from tritone_bench.compare import compare, differences
from tritone_bench.compare import run as run_compare
from tritone_bench.erlang import blocking, lines_for, simulate
from tritone_bench.errors import BenchError, UsageError
from tritone_bench.level import Level, StageTime, Usage, summarise
from tritone_bench.limits import limiting_stage, loop_shares
from tritone_bench.report import html, markdown
from tritone_bench.run import Run
from tritone_bench.task import Mistake, Outcome, Report

pytestmark = pytest.mark.unit
HOSTILE = "<script>alert(1)</script> & | «мир»"


def report(scale: float = 1.0, count: int = 4000, seed: int = 1) -> Report:
    draw = np.random.default_rng(seed)
    return Report(
        due_s=np.sort(draw.uniform(0, 60, count)),
        latency_s=(draw.gamma(2.0, 0.012, count) * scale).astype(np.float32),
        outcome=np.zeros(count, np.uint8),
        lag_s=np.full(count, 0.0005, np.float32),
        timing_us=np.tile(np.array([[9000.0, 100.0, 7000.0]], np.float32), (50, 1)),
        begun=40,
        finished=30,
        checked=40,
        cpu_s=1.5,
    )


def made_up(scale: float = 1.0, streams: int = 20, seed: int = 1) -> tuple[Run, Report]:
    raw = report(scale, seed=seed)
    level = summarise(raw, streams, 100.0, ["queue", "network"])
    level.usage = Usage(1.6, 0.2, 400.0, 0.04, None, None, 4.0, 16.0)
    above = replace(level, streams=streams + 1, failed="p99 140 ms is above 100 ms", p99_ms=140.0)
    run = Run(
        kind="capacity",
        when="2026-01-01T00:00:00Z",
        host="host",
        command=f"tritone bench capacity {HOSTILE}",
        revision="abc",
        machine={"processor": HOSTILE, "cores": "2"},
        versions={"numpy": "1"},
        service={"model": "default"},
        settings={"effort": "full"},
        threshold_ms=100.0,
        idle_mib=300.0,
        levels=[level, above],
        confirmed=level,
        limit="network",
    )
    run.digest(raw)
    return run, raw


def test_percentiles_are_of_all_chunks_also_of_those_never_answered() -> None:
    raw = report()
    raw.latency_s[:100] = 7.0
    raw.outcome[:50] = Outcome.MISSING
    level = summarise(raw, 20, 100.0, ["queue", "network"])
    assert (level.lost, level.late, level.p99_ms) == (50, 100, 7000.0)
    assert level.chunks == 4000
    assert level.chunks_per_s == pytest.approx(3950 / level.seconds)
    assert [stage.name for stage in level.stages] == ["transport", "queue", "network"]
    assert level.stages[0].mean_us == 1900.0


def test_verdicts_name_the_gravest_reason() -> None:
    raw = report()
    raw.wrong, raw.mistakes = 1, [Mistake("a", "да", "нет")]
    raw.outcome[0] = Outcome.FAILED
    assert "wrong words" in summarise(raw, 20, 100.0, []).failed
    raw.wrong = 0
    assert "1 chunks were lost" in summarise(raw, 20, 100.0, []).failed
    raw.outcome[0] = Outcome.ANSWERED
    assert summarise(raw, 20, 100.0, []).failed == ""
    assert "above 50 ms" in summarise(raw, 20, 50.0, []).failed


def test_everything_written_can_be_read_again(tmp_path: Path) -> None:
    run, raw = made_up()
    folder = results.prepare_folder(tmp_path, run.when)
    results.write(folder, run, raw)
    assert Run.load(folder) == run
    rows = gzip.decompress((folder / "chunks.csv.gz").read_bytes()).decode().splitlines()
    assert len(rows) == 4001
    assert rows[1].split(",")[2] == "answered"
    assert results.prepare_folder(tmp_path, run.when) != folder


def test_raw_data_stays_small(tmp_path: Path) -> None:
    run, _ = made_up()
    folder = results.prepare_folder(tmp_path, run.when)
    results.write(folder, run, report(count=150_000))
    rows = gzip.decompress((folder / "chunks.csv.gz").read_bytes()).decode().splitlines()
    assert 15_000 < len(rows) <= results.MAX_RAW_ROWS + 1


def test_the_page_is_self_contained_and_escapes_what_it_shows() -> None:
    run, _ = made_up()
    page = html.render(run)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page
    charts = [part.partition("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
    assert len(charts) == 4
    for chart in charts:
        ET.fromstring("<svg" + chart)
    assert "| 20 |" in markdown.render(run)


def test_pages_of_partial_runs() -> None:
    run, _ = made_up()
    empty = replace(run, levels=[], confirmed=None, curve=[], timeline=[], error="interrupted")
    assert "nothing was measured" in html.render(empty)
    failed = replace(run, confirmed=None, levels=[Level(4, 0.0, failed="4 streams were refused: full")])
    for shown in (html.render(failed), markdown.render(failed)):
        assert "refused" in shown


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    run, raw = made_up()
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="choose a folder with --out"):
        results.prepare_folder(tmp_path / "file", run.when)
    full = Path("/dev/full")
    if full.exists():
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "run.json").symlink_to(full)
        with pytest.raises(BenchError, match="could not be written"):
            results.write(folder, run, raw)


@pytest.mark.parametrize("content", ["", "{}", '{"format": 99}', "[]", '{"format": 1, "levels": 3}'])
def test_what_is_no_run(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UsageError):
        Run.load(tmp_path)


def test_the_same_thing_twice_is_within_noise_and_another_is_not() -> None:
    (a, _), (b, _), (slow, _) = made_up(seed=1), made_up(seed=2), made_up(scale=1.6, streams=12, seed=3)
    same = {row.name: row.verdict for row in compare(a, b)}
    assert set(same.values()) == {"within noise"}
    other = {row.name: row.verdict for row in compare(a, slow)}
    assert other["p50, ms"] == other["p99, ms"] == "B higher"
    assert other["capacity, streams"] == "B lower"


def test_compare_prints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        run, raw = made_up(seed=seed)
        run.machine["cores"] = str(seed)
        (tmp_path / name).mkdir()
        results.write(tmp_path / name, run, raw)
    page = tmp_path / "both.html"
    assert run_compare(argparse.Namespace(a=tmp_path / "a", b=tmp_path / "b", out=page)) == 0
    assert "conditions differ: cores: 1 / 2" in capsys.readouterr().out
    assert page.read_text().count("<svg") == 2
    assert differences(*[Run.load(tmp_path / name) for name in "ab"]) == ["cores: 1 / 2"]


def test_limits() -> None:
    level = Level(50, 10.0, chunks_per_s=160.0)
    level.usage = Usage(1.8, 0.3, 100.0, 0.05, None, None, 8.0, 20.0)
    level.stages = [StageTime(name, us, us, us, us) for name, us in (("network", 45_000.0), ("unpack", 100.0))]
    above = Level(55, 10.0, failed="p99 300 ms is above 100 ms")
    assert loop_shares(level) == pytest.approx({"network": 0.9, "unpack": 0.016})
    assert limiting_stage([level, above], level, 2).stage == "network"
    level.usage.batch = None
    assert "processor is full" in limiting_stage([level, above], level, 2).why
    full = Level(65, 10.0, failed="1 streams were refused: no free slot: 64 of 64 are taken; try again")
    assert limiting_stage([level, full], level, 2).stage == "slots"


def test_erlang_against_known_values() -> None:
    # Published tables of the loss formula: 10 erlangs on 10 lines lose 21.46 %, 100 erlangs need 117 lines for 1 %.
    assert blocking(10.0, 10) == pytest.approx(0.2146, abs=1e-4)
    assert lines_for(100.0, 0.01) == 117
    share, most = simulate(40.0, 1, 45, arrivals=60_000, choices=1, tries=1)
    assert share == pytest.approx(blocking(40.0, 45), rel=0.15)
    assert most == 45


def test_a_plan_keeps_its_promises() -> None:
    made = plan.make_plan(2000, capacity=100, utilisation=0.7, failures=1, refusals=0.001)
    assert made.hosts == 29
    assert made.used <= 0.7
    assert made.simulated <= 0.001
    tight = plan.make_plan(2000, capacity=100, utilisation=1.0, failures=2, refusals=0.001)
    assert tight.hosts > 22
    with pytest.raises(UsageError):
        plan.make_plan(0, 100, 0.7, 1, 0.001)


def test_plan_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, raw = made_up()
    results.write(tmp_path, run, raw)
    parser = argparse.ArgumentParser()
    plan.configure(parser)
    words = ["--streams", "5000", "--from", str(tmp_path), "--price-per-hour", "2"]
    assert plan.run(parser.parse_args(words)) == 0
    shown = capsys.readouterr().out
    assert "hosts like 'host'" in shown
    assert "per stream-hour" in shown
    assert "assumes:" in shown
    results.write(tmp_path, replace(run, confirmed=None), None)
    with pytest.raises(UsageError, match="no confirmed capacity"):
        plan.run(parser.parse_args(words))
