"""A run as one self-contained HTML page."""

from __future__ import annotations

from html import escape

from tritone_bench.level import Level
from tritone_bench.report import page, svg
from tritone_bench.report.scales import linear, logarithmic, nines
from tritone_bench.run import Run

LEVEL_HEAD = (
    "streams", "chunks/s", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "max ms", "late", "lost", "wrong",
    "service cores", "generator cores", "other cores", "batch", "verdict",
)  # fmt: skip
HOW = (
    "Every stream sends one chunk per 300 ms on a schedule that answers cannot delay, at a random phase. Latency runs "
    "from the moment a chunk's last sample exists to the arrival of its answer, so waiting in the client counts. "
    "Every call's words are compared with what the service says to the same call alone; one wrong word fails the run."
)


def headline(run: Run) -> tuple[str, str]:
    """The answer in large, and what it means."""
    level = run.main
    if level is None:
        return "no result", "nothing was measured"
    if run.confirmed is None:
        return "no result", f"the last load was {level.streams} streams: {level.failed or 'passed'}"
    what = {
        "capacity": "live streams is what this service carries",
        "load": "live streams were held",
        "rates": "live streams at the highest rate that passed",
    }[run.kind]
    return f"{level.streams}", f"{what}: p99 within {run.threshold_ms:g} ms, no chunk lost, no wrong word"


def render(run: Run) -> str:
    """The page."""
    level = run.main
    big, meaning = headline(run)
    body = [
        f"<h1>Tritone bench: {escape(run.kind)}</h1>",
        f'<div class="dim">{escape(run.when)} · {escape(run.host)} · {escape(run.machine.get("processor", ""))}, '
        f"{escape(run.machine.get('cores', '?'))} cores {escape(run.machine.get('gpu', ''))}</div>",
        f'<div class="big">{escape(big)}</div><div>{escape(meaning)}</div>',
    ]
    if run.error:
        body.append(f'<p class="bad"><b>Partial:</b> {escape(run.error)}</p>')
    if run.limit:
        body.append(f"<p><b>Limit:</b> {escape(run.limit)}</p>")
    if level is not None:
        body.append(page.tiles(numbers(level, run)))
        body.append(f'<div class="cards">{"".join(charts(run, level))}</div>')
        body.append(page.card("Loads", page.table(LEVEL_HEAD, [cells(one) for one in run.levels], last_is_text=True)))
    body.append('<div class="cards">')
    body.append(page.card("Machine and software", page.facts({**run.machine, **run.versions, "bench": run.revision})))
    body.append(page.card("Service", page.facts(run.service)))
    body.append(
        page.card("How it was measured", page.facts(run.settings) + f"<p>{HOW}</p><code>{escape(run.command)}</code>")
    )
    body.append("</div>")
    return page.page(f"Tritone bench: {big} streams on {run.host}", body)


def numbers(level: Level, run: Run) -> list[tuple[str, str]]:
    """The tiles of a level."""
    found = [
        ("chunks/s", f"{level.chunks_per_s:.1f}"),
        ("SPS", f"{level.sps:.1f}"),
        ("p50 latency", f"{level.p50_ms:.1f} ms"),
        ("p95 latency", f"{level.p95_ms:.1f} ms"),
        ("p99 latency", f"{level.p99_ms:.1f} ms"),
        ("p99.9 latency", f"{level.p999_ms:.1f} ms"),
        ("late chunks", f"{level.late} of {level.chunks}"),
        ("wrong calls", f"{level.wrong} of {level.checked}"),
        ("generator's own lag p99", f"{level.lag_p99_ms:.2f} ms"),
        ("generator", f"{level.usage.generator_cores:.2f} cores"),
    ]
    if level.usage.service_cores is not None:
        found.append(("service", f"{level.usage.service_cores:.2f} cores"))
    per_stream = run.memory_per_stream(level)
    if per_stream is not None:
        found.append(("memory per stream", f"{per_stream:.2f} MiB"))
    if level.usage.gpu_percent is not None:
        found.append(("GPU busy", f"{level.usage.gpu_percent:.0f} %"))
    if level.usage.triton_ms:
        parts = ", ".join(f"{part} {mean:.1f}" for part, mean in level.usage.triton_ms.items())
        found.append(("inside Triton, mean ms", parts))
    if run.roof_chunks_per_s:
        found.append(("of the engine alone", f"{level.chunks_per_s / run.roof_chunks_per_s:.0%}"))
    return found


def cells(level: Level) -> list[str]:
    """The row of a level."""
    usage = level.usage
    if not level.chunks:
        return [str(level.streams), *[""] * (len(LEVEL_HEAD) - 2), level.failed or "nothing was measured"]
    return [
        str(level.streams), f"{level.chunks_per_s:.1f}", f"{level.p50_ms:.1f}", f"{level.p95_ms:.1f}",
        f"{level.p99_ms:.1f}", f"{level.p999_ms:.1f}", f"{level.max_ms:.1f}", str(level.late), str(level.lost),
        str(level.wrong), "" if usage.service_cores is None else f"{usage.service_cores:.2f}",
        f"{usage.generator_cores:.2f}", "" if usage.other_cores is None else f"{usage.other_cores:.2f}",
        "" if usage.batch is None else f"{usage.batch:.1f}", level.failed or "ok",
    ]  # fmt: skip


def charts(run: Run, level: Level) -> list[str]:
    """The charts for which there is data."""
    found = []
    levels = run.best_levels()
    if len({one.streams for one in levels}) > 1:
        found.append(
            page.card(
                "Latency against streams",
                _against_streams(levels, run),
                "Rings: loads that were too much. Of equal loads the better one.",
            )
        )
    if run.curve:
        found.append(page.card(f"Latency by percentile at {level.streams} streams", _curve(run)))
    if level.stages:
        rows = [
            svg.Bar(s.name, s.mean_us / 1e3, s.p95_us / 1e3, f"{s.mean_us / 1e3:.2f}, p95 {s.p95_us / 1e3:.2f}")
            for s in level.stages
        ]
        note = "Of sampled chunks, in the service's own clock; transport is the rest: network, gRPC, Triton, generator."
        found.append(page.card("Where a chunk's time goes", svg.bars(rows, "mean, whisker to p95, in ms"), note))
    if len(run.timeline) > 1:
        found.append(page.card("Over time", _timeline(run)))
    return found


def _against_streams(levels: list[Level], run: Run) -> str:
    names = (("p50", "p50_ms", "s1"), ("p95", "p95_ms", "s2"), ("p99", "p99_ms", "s3"))
    failed = frozenset(index for index, one in enumerate(levels) if one.failed)
    series = [
        svg.Series(name, [(float(one.streams), getattr(one, key)) for one in levels], style, failed)
        for name, key, style in names
    ]
    ys = [value for line in series for _, value in line.points] + [run.threshold_ms]
    x = linear([float(one.streams) for one in levels])
    return svg.lines(
        series, x, logarithmic(ys), "live streams", "latency, ms", (run.threshold_ms, f"limit {run.threshold_ms:g} ms")
    )


def _curve(run: Run) -> str:
    points = [(q, value) for q, value in run.curve if q <= 99.99]
    y = linear([value for _, value in points] + [run.threshold_ms])
    limit = (run.threshold_ms, f"limit {run.threshold_ms:g} ms")
    return svg.lines([svg.Series("", points, "s3")], nines(), y, "percentile", "latency, ms", limit)


def _timeline(run: Run) -> str:
    series = [
        svg.Series("p50", [(row[0], row[1]) for row in run.timeline], "s1", dots=False),
        svg.Series("p99", [(row[0], row[2]) for row in run.timeline], "s3", dots=False),
    ]
    y = linear([row[2] for row in run.timeline] + [run.threshold_ms])
    x = linear([row[0] for row in run.timeline])
    limit = (run.threshold_ms, f"limit {run.threshold_ms:g} ms")
    return svg.lines(series, x, y, "seconds", "latency of each second, ms", limit)
