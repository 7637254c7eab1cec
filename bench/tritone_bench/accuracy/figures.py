"""The pictures of an accuracy run as SVG, for the page and as files of their own. No numbers are made here."""

from __future__ import annotations

from tritone_bench.accuracy.record import Record, Score
from tritone_bench.report import page, svg
from tritone_bench.report.scales import linear, logarithmic

LEAST_MS = 100.0  # the beginning of the axis; nothing is seen sooner but a word whose end was told too late
STYLES = ("s3", "alt", "s1", "s4", "s2")


def all_figures(record: Record) -> dict[str, tuple[str, str, str]]:
    """Title, SVG and note of every picture for which there is data, by the name of its file."""
    found: dict[str, tuple[str, str, str]] = {}
    for name in dict.fromkeys(score.set for score in record.scores):
        scores = [score for score in record.scores if score.set == name]
        title = f"Words wrong: {name}, {scores[0].clips} clips"
        found[f"wer-{_file(name)}"] = (title, _wer(scores), record.sets[name])
    for system in record.systems:
        if system["delay_curves"]:
            title = f"From the end of a spoken word to the screen: {system['name']}"
            note = "Streams at a call's pace. The end of a word is the one that its final tells."
            found[f"delays-{_file(system['name'])}"] = (title, _delays(system["delay_curves"]), note)
    for system in record.systems:
        scores = [score for score in record.scores if score.system == system["name"] and score.calibration]
        if scores:
            title = f"Is a word as likely right as its confidence says: {system['name']}"
            errors = ", ".join(f"{score.set} {score.calibration.error:.1f} %" for score in scores if score.calibration)
            found[f"confidence-{_file(system['name'])}"] = (title, _reliability(scores), f"Calibration error: {errors}")
    return found


def standalone(picture: str) -> str:
    """An SVG that needs nothing around it."""
    plain = f'<svg xmlns="http://www.w3.org/2000/svg" width="{svg.WIDTH}" '
    style = f"<style>{page.STYLE} svg{{background:var(--bg);font-family:system-ui,sans-serif}}</style>"
    head, body = picture.replace("<svg ", plain, 1).split(">", 1)
    return f"{head}>{style}{body}\n"


def _file(name: str) -> str:
    kept = "".join(c if c.isalnum() else "-" for c in name)
    return "-".join(part for part in kept.split("-") if part) or "set"


def _wer(scores: list[Score]) -> str:
    rows = [svg.Bar(one.system, one.wer.percent, one.wer.high, str(one.wer)) for one in scores]
    return svg.bars(rows, "wrong words per hundred spoken, ё = е; whisker to the upper end of the 95 % interval")


def _delays(curves: dict[str, list[list[float]]]) -> str:
    # The last two per cent are left to the table: one word of a minute would flatten the rest.
    points = {name: [(ms, share) for ms, share in curve if share <= 98] for name, curve in curves.items()}
    series = [
        svg.Series(name, points[key], style, dots=False)
        for key, name, style in (("seen", "seen", "s3"), ("right", "as final", "s1"), ("final", "final", "alt"))
    ]
    x = logarithmic([LEAST_MS, *(ms for curve in points.values() for ms, _ in curve if ms > LEAST_MS)])
    return svg.lines(series, x, linear([0.0, 100.0]), "ms after the end of the word", "% of words")


def _reliability(scores: list[Score]) -> str:
    series = [svg.Series("", [(0.0, 0.0), (100.0, 100.0)], "axis", dots=False)]
    for score, style in zip(scores, STYLES, strict=False):
        assert score.calibration is not None
        points = [(100 * one.confidence, 100 * one.right) for one in score.calibration.bins if one.words >= 5]
        series.append(svg.Series(score.set, points, style))
    scale = linear([0.0, 100.0])
    return svg.lines(series, scale, scale, "confidence, %", "words right, %")
