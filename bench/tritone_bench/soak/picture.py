"""A soak run over time as charts: each for the report, all of them in one SVG file for a page that takes pictures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from html import escape

from tritone_bench.report import page, svg
from tritone_bench.report.scales import linear
from tritone_bench.soak.record import Soak

STYLES = ("s3", "alt", "s1", "s4", "s2")
Points = list[tuple[float, float]]
MARGIN, TITLE = 16, 30
_SHEET = (
    page.STYLE + "svg{font:15px/1.5 system-ui,sans-serif}"
    f"svg svg{{width:{svg.WIDTH}px;height:{svg.HEIGHT}px}}.head{{fill:var(--ink);font-size:15px;font-weight:600}}"
    ".ground{fill:var(--card)}"
)


def by_interval(points: Points, length_s: float, pick: Callable[[list[float]], float] = statistics.median) -> Points:
    """One point an interval: (minute of its middle, what `pick` makes of its values)."""
    groups: dict[int, list[float]] = {}
    for second, value in points:
        groups.setdefault(int(second // length_s), []).append(value)
    return [((number + 0.5) * length_s / 60, pick(values)) for number, values in sorted(groups.items())]


def charts(soak: Soak) -> list[tuple[str, str, str]]:
    """Title, SVG and note of each chart for which there is data."""
    length, warm = soak.plan.interval_s, soak.plan.warm_s / 60
    latency = [_line("p50", soak, "p50_ms", "s1"), _line("p99", soak, "p99_ms", "s3")]
    happened = [_line(name, soak, name, style) for name, style in (("refused", "s3"), ("late", "alt"), ("lost", "s4"))]
    live = [
        svg.Series(name, by_interval(soak.samples.series("live"), length, pick), style, dots=False)
        for name, pick, style in (("mean", statistics.fmean, "s3"), ("most", max, "s1"))
    ]
    memory = _kinds(soak, "MiB")
    files, threads = _kinds(soak, "files"), _kinds(soak, "threads")
    shared = [svg.Series("", by_interval(soak.samples.series("shared MiB"), length), "s3", dots=False)]
    limit = (soak.threshold_ms, f"limit {soak.threshold_ms:g} ms")
    slots = (float(soak.plan.capacity), f"{soak.plan.capacity} slots")
    drawn = [
        _chart("Latency of a chunk", latency, "ms", limit=limit),
        _chart("Live calls, visitors included", live, "calls", limit=slots),
        _chart("Refused calls, late and lost chunks", happened, "in each interval"),
        _chart("Resident memory", memory, "MiB"),
        _chart(
            f"Resident memory, change since minute {warm:g}",
            [svg.Series(one.name, _since(one.points, warm), one.style, dots=False) for one in memory],
            "MiB",
            zero=False,
        ),
        _chart("Shared memory of the service", shared, "MiB"),
        _chart("Open files", files, "descriptors"),
        _chart("Threads", threads, "threads"),
    ]
    return [one for one in drawn if one is not None]


def picture(soak: Soak, title: str) -> str:
    """All charts in one SVG document, two in a row."""
    drawn = charts(soak)
    height = TITLE * 2 + -(-len(drawn) // 2) * (svg.HEIGHT + TITLE)
    width = 2 * svg.WIDTH + 3 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}"><style>{_SHEET}</style><rect class="ground" width="{width}" height="{height}"/>',
        f'<text class="head" x="{MARGIN}" y="{TITLE - 6}">{escape(title)}</text>',
    ]
    for number, (name, chart, _) in enumerate(drawn):
        left = MARGIN + number % 2 * (svg.WIDTH + MARGIN)
        top = TITLE + number // 2 * (svg.HEIGHT + TITLE)
        parts.append(f'<text class="head" x="{left}" y="{top + TITLE - 8}">{escape(name)}</text>')
        parts.append(chart.replace("<svg ", f'<svg x="{left}" y="{top + TITLE}" ', 1))
    return "".join([*parts, "</svg>\n"])


def _line(name: str, soak: Soak, attribute: str, style: str) -> svg.Series:
    points = [(one.second / 60, float(getattr(one, attribute))) for one in soak.intervals]
    return svg.Series(name, points, style, dots=False)


def _kinds(soak: Soak, what: str) -> list[svg.Series]:
    names = [name for name in soak.samples.names if name.split()[0] == what and not name.endswith(" other")]
    return [
        svg.Series(
            name.partition(" ")[2].removeprefix("streaming_"),
            by_interval(soak.samples.series(name), soak.plan.interval_s),
            STYLES[number % len(STYLES)],
            dots=False,
        )
        for number, name in enumerate(names)
    ]


def _since(points: Sequence[tuple[float, float]], minute: float) -> Points:
    first = next((value for when, value in points if when >= minute), 0.0)
    return [(when, value - first) for when, value in points if when >= minute]


def _chart(
    title: str, series: list[svg.Series], y_title: str, limit: tuple[float, str] | None = None, *, zero: bool = True
) -> tuple[str, str, str] | None:
    values = [value for one in series for _, value in one.points]
    if not values:
        return None
    y = linear([*values, *([limit[0]] if limit else [])], zero=zero)
    x = linear([when for one in series for when, _ in one.points])
    return title, svg.lines(series, x, y, "minutes", y_title, limit), ""
