"""`tritone bench compare A B`: two runs side by side, and which differences are more than noise."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tritone_bench.errors import BenchError
from tritone_bench.level import Level
from tritone_bench.report import page, svg
from tritone_bench.report.html import cells, headline
from tritone_bench.report.scales import linear, logarithmic, nines
from tritone_bench.run import Run
from tritone_bench.screen import out

EXAMPLE = """example:
  tritone bench compare bench/results/A bench/results/B --out comparison.html
"""
# Two runs of the same thing differ by this much for no reason one could name; measured searches end as coarse.
REPEAT_NOISE = 0.10


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = EXAMPLE
    parser.add_argument("a", type=Path, metavar="A", help="folder of a run")
    parser.add_argument("b", type=Path, metavar="B", help="folder of another")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also draw them, as an HTML page")


@dataclass(frozen=True)
class Row:
    """One compared number.

    Attributes:
        name: with its unit.
        a, b: values; None where a run lacks it.
        noise: difference that means nothing, in the same unit.
    """

    name: str
    a: float | None
    b: float | None
    noise: float

    @property
    def verdict(self) -> str:
        """What the difference is worth."""
        if self.a is None or self.b is None:
            return "only in one"
        if abs(self.b - self.a) <= self.noise:
            return "within noise"
        return "B higher" if self.b > self.a else "B lower"

    def cells(self) -> list[str]:
        """Texts of a table's row."""
        change = ""
        if self.a is not None and self.b is not None and self.a:
            change = f"{(self.b - self.a) / self.a:+.1%}"
        return [self.name, _shown(self.a), _shown(self.b), change, f"±{self.noise:.3g}", self.verdict]


HEAD = ("what", "A", "B", "change", "noise", "verdict")


def compare(a: Run, b: Run) -> list[Row]:
    """Compare the main levels of two runs.

    The noise of a percentile comes from the runs themselves: the same percentile of ten equal parts of each run
    scatters by some standard deviation s, so the whole run's has the error s/sqrt(10), and the difference of two such
    the error sqrt(ea^2 + eb^2); twice that is taken as noise. For the capacity it is how closely each search
    bracketed it, and never less than a tenth, which is what repeated runs on a shared machine differ by.
    """
    first, second = a.main, b.main
    if first is None or second is None:
        raise BenchError("one of the runs measured nothing", exit_status=2)
    rows = []
    if a.kind == b.kind == "capacity":
        noise = max(_bracket(a), _bracket(b), REPEAT_NOISE * first.streams)
        rows.append(Row("capacity, streams", _capacity(a), _capacity(b), noise))
    for column, name in enumerate(("p50", "p95", "p99")):
        noise = 2.0 * float(np.hypot(_error(a, column), _error(b, column)))
        rows.append(Row(f"{name}, ms", getattr(first, f"{name}_ms"), getattr(second, f"{name}_ms"), noise))
    simple: tuple[tuple[str, Callable[[Level], float | None]], ...] = (
        ("chunks/s", lambda level: level.chunks_per_s),
        ("late chunks, %", lambda level: 100.0 * level.late / max(1, level.chunks)),
        ("service, cores", lambda level: level.usage.service_cores),
        ("service, ms of CPU per chunk", _cpu_per_chunk),
        ("generator, cores", lambda level: level.usage.generator_cores),
    )
    for label, read in simple:
        one, other = read(first), read(second)
        rows.append(Row(label, one, other, REPEAT_NOISE * max(abs(one or 0.0), abs(other or 0.0))))
    for stage in first.stages:
        twin = next((other for other in second.stages if other.name == stage.name), None)
        mean = twin.mean_us / 1e3 if twin else None
        rows.append(Row(f"{stage.name}, mean ms", stage.mean_us / 1e3, mean, REPEAT_NOISE * stage.mean_us / 1e3 + 0.02))
    return rows


def differences(a: Run, b: Run) -> list[str]:
    """Conditions that are not the same in both runs."""
    found = []
    for kind in ("machine", "versions", "service", "settings"):
        one, other = getattr(a, kind), getattr(b, kind)
        for name in sorted({*one, *other}):
            if one.get(name) != other.get(name) and name not in ("ready", "address"):
                found.append(f"{name}: {one.get(name, 'none')} / {other.get(name, 'none')}")  # noqa: PERF401
    if a.revision != b.revision:
        found.append(f"revision: {a.revision or 'none'} / {b.revision or 'none'}")
    return found


def run(args: argparse.Namespace) -> int:
    """Print the comparison, and draw it when asked to.

    Raises:
        UsageError: one of the runs is not there.
        BenchError: the page cannot be written.
    """
    a, b = Run.load(args.a), Run.load(args.b)
    rows = compare(a, b)
    out(f"A {a.when} {a.host}: {headline(a)[0]} streams; B {b.when} {b.host}: {headline(b)[0]} streams")
    shown = [list(HEAD), *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in shown) for column in range(len(HEAD))]
    for line in shown:
        out("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    changed = differences(a, b)
    out("conditions differ: " + "; ".join(changed) if changed else "conditions: the same")
    if args.out is not None:
        try:
            args.out.write_text(render(a, b, rows, changed), encoding="utf-8")
        except OSError as error:
            raise BenchError(f"{args.out} cannot be written ({error.strerror})") from None
        out(f"drawn in {args.out}")
    return 0


def render(a: Run, b: Run, rows: list[Row], changed: list[str]) -> str:
    """The comparison as a page."""
    body = [
        "<h1>Tritone bench: two runs</h1>",
        f'<div class="dim">A: {a.when}, {a.host} · B: {b.when}, {b.host}</div>',
        page.card("Numbers", page.table(HEAD, [row.cells() for row in rows])),
        '<div class="cards">',
    ]
    if a.curve and b.curve:
        pair = [
            svg.Series("A", [(q, v) for q, v in a.curve if q <= 99.99], "s3"),
            svg.Series("B", [(q, v) for q, v in b.curve if q <= 99.99], "alt"),
        ]
        y = linear([value for line in pair for _, value in line.points])
        body.append(page.card("Latency by percentile", svg.lines(pair, nines(), y, "percentile", "latency, ms")))
    pair = [_p99(a, "A", "s3"), _p99(b, "B", "alt")]
    y = logarithmic([value for line in pair for _, value in line.points])
    x = linear([streams for line in pair for streams, _ in line.points])
    limit = (a.threshold_ms, f"limit {a.threshold_ms:g} ms")
    body.append(page.card("p99 against streams", svg.lines(pair, x, y, "live streams", "p99, ms", limit)))
    body.append(page.card("Loads of A", page.table(_LEVEL_HEAD, [_level(one) for one in a.levels])))
    body.append(page.card("Loads of B", page.table(_LEVEL_HEAD, [_level(one) for one in b.levels])))
    same = dict(item.split(": ", 1) for item in changed) or {"conditions": "the same"}
    body += ["</div>", page.card("What else differs (A / B)", page.facts(same))]
    return page.page("Tritone bench: two runs", body)


_LEVEL_HEAD = ("streams", "chunks/s", "p50 ms", "p95 ms", "p99 ms", "verdict")


def _level(level: Level) -> list[str]:
    row = cells(level)
    return [*row[:5], row[-1][:60]]


def _p99(run: Run, name: str, style: str) -> svg.Series:
    levels = run.best_levels()
    failed = frozenset(index for index, level in enumerate(levels) if level.failed)
    return svg.Series(name, [(float(level.streams), level.p99_ms) for level in levels], style, failed)


def _capacity(run: Run) -> float:
    return float(run.confirmed.streams) if run.confirmed else 0.0


def _bracket(run: Run) -> float:
    """How closely the search bracketed the capacity, in streams."""
    above = [level.streams for level in run.levels if level.failed and level.streams > _capacity(run)]
    return min(above) - _capacity(run) if above else 0.0


def _error(run: Run, column: int) -> float:
    values = [block[column] for block in run.blocks]
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def _cpu_per_chunk(level: Level) -> float | None:
    cores = level.usage.service_cores
    return None if cores is None or not level.chunks_per_s else 1e3 * cores / level.chunks_per_s


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
