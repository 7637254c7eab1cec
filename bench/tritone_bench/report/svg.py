"""Charts as inline SVG: lines over an axis, and bars with whiskers. Colours come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from tritone_bench.report.scales import Scale, linear, number

WIDTH, HEIGHT = 620, 270
LEFT, RIGHT, TOP, BOTTOM = 54, 70, 14, 40


@dataclass(frozen=True)
class Series:
    """A line.

    Attributes:
        name: shown at its end.
        points: x and y.
        style: class in the style sheet, s1 to s4.
        hollow: indices of points drawn as rings.
        dots: mark the points.
    """

    name: str
    points: Sequence[tuple[float, float]]
    style: str
    hollow: frozenset[int] = frozenset()
    dots: bool = True


def lines(
    series: Sequence[Series], x: Scale, y: Scale, x_title: str, y_title: str, limit: tuple[float, str] | None = None
) -> str:
    """A line chart.

    Args:
        series: the lines.
        x: horizontal axis.
        y: vertical axis.
        x_title: what it shows, with the unit.
        y_title: the same of the other.
        limit: a value of y to mark across the chart, and its name.
    """
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [_open(HEIGHT, f"{y_title} against {x_title}")]
    for tick in y.ticks:
        at = y.at(tick, bottom, TOP)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(_text(LEFT - 6, at + 4, y.label(tick), "end"))
    for tick in x.ticks:
        at = x.at(tick, LEFT, right)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{bottom}" y2="{bottom + 4}"/>')
        parts.append(_text(at, bottom + 17, x.label(tick), "middle"))
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(_text((LEFT + right) / 2, HEIGHT - 5, x_title, "middle", "title"))
    parts.append(_text(LEFT, TOP - 3, y_title, "start", "title"))
    if limit is not None and y.low <= limit[0] <= y.high:
        at = y.at(limit[0], bottom, TOP)
        parts.append(f'<line class="limit" x1="{LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(_text(right, at - 4, limit[1], "end", "limit-text"))
    ends: list[float] = []
    for line in sorted((line for line in series if line.points), key=lambda line: -line.points[-1][1]):
        spots = [(x.at(a, LEFT, right), y.at(b, bottom, TOP)) for a, b in line.points]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in spots)
        parts.append(f'<polyline class="line {line.style}" points="{path}"/>')
        for index, ((a, b), (left, value)) in enumerate(zip(spots, line.points, strict=True)):
            if not line.dots:
                break
            kind = "ring" if index in line.hollow else "dot"
            told = f"{line.name}: {number(round(value, 2))} at {number(round(left, 2))}"
            parts.append(
                f'<circle class="{kind} {line.style}" cx="{a:.1f}" cy="{b:.1f}" r="3.5">'
                f"<title>{escape(told)}</title></circle>"
            )
        label = spots[-1][1] + 4
        while any(abs(label - other) < 13 for other in ends):  # names must not lie on one another
            label += 1
        ends.append(label)
        parts.append(_text(spots[-1][0] + 8, label, line.name, "start", f"name {line.style}"))
    return "".join([*parts, "</svg>"])


@dataclass(frozen=True)
class Bar:
    """One bar: a value, and a higher one as a whisker."""

    name: str
    value: float
    whisker: float
    told: str


def bars(rows: Sequence[Bar], x_title: str) -> str:
    """Horizontal bars, one below the other, with their values written beside them."""
    left, step = 96, 24
    height = TOP + step * len(rows) + BOTTOM
    right, bottom = WIDTH - 120, TOP + step * len(rows)
    x = linear([max(row.value, row.whisker) for row in rows])
    parts = [_open(height, x_title)]
    for tick in x.ticks:
        at = x.at(tick, left, right)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(_text(at, bottom + 16, x.label(tick), "middle"))
    for index, row in enumerate(rows):
        top = TOP + step * index + 4
        end, whisker = x.at(row.value, left, right), x.at(row.whisker, left, right)
        parts.append(_text(left - 8, top + 12, row.name, "end", "row"))
        parts.append(
            f'<rect class="bar" x="{left}" y="{top}" width="{max(1.0, end - left):.1f}" height="15" rx="2">'
            f"<title>{escape(row.name)}: {escape(row.told)}</title></rect>"
        )
        parts.append(f'<line class="whisker" x1="{end:.1f}" x2="{whisker:.1f}" y1="{top + 7.5}" y2="{top + 7.5}"/>')
        parts.append(f'<line class="whisker" x1="{whisker:.1f}" x2="{whisker:.1f}" y1="{top + 3}" y2="{top + 12}"/>')
        parts.append(_text(whisker + 8, top + 12, row.told, "start"))
    parts.append(_text((left + right) / 2, height - 5, x_title, "middle", "title"))
    return "".join([*parts, "</svg>"])


def _open(height: int, label: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">'


def _text(x: float, y: float, text: str, anchor: str, style: str = "tick") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
