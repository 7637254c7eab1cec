"""An accuracy run on the screen, as Markdown and as one HTML page. Pictures are drawn in figures."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from tritone_bench.accuracy.figures import all_figures, standalone
from tritone_bench.accuracy.record import Record, Score
from tritone_bench.errors import BenchError
from tritone_bench.report import page
from tritone_bench.report.markdown import table

HEAD = (
    "set", "system", "clips", "words", "WER % (95 %)", "ё not е", "CER %", "sub", "ins", "del", "whole clips right",
    "points against the first",
)  # fmt: skip
COST_HEAD = ("system", "CPU s per hour of audio", "cores per stream", "wall RTF", "model MiB", "memory MiB")
DELAY_HEAD = (
    "system", "words", "seen p50 ms", "p95", "as in the final p50 ms", "p95", "final p50 ms", "p95",
    "phrase end to final p50 ms", "p95",
)  # fmt: skip
CHANGE_HEAD = (
    "system", "words shown twice in a row", "later changed by a partial %", "changed by the final only %",
    "words not shown as in the final %", "finals whose search was late",
)  # fmt: skip
_FIXED = '<td style="white-space:nowrap">'
HOW = (
    "Every clip is a stream of its own through the client to the running service; its words are those of its finals. "
    "Before words are compared: lower case, punctuation off, digits spelt, ё = е (the column 'ё not е' tells them "
    "apart). Intervals: bootstrap over clips, 2000 draws; differences are paired, on the same clips. For the words a "
    "final waits for its search however long it takes, because clips come faster than on any line; delays are those of "
    "the service as shipped, from clips at a call's pace with 1.5 s of silence after each, and run from the end of a "
    "word, as its final tells it, to the arrival of an event: seen is the first one that shows the whole word, in "
    "whatever spelling the partials kept; as in the final, the first that shows it so; final, its final. Cores per "
    "stream: processor time of the service's processes per time of audio."
)


def score_row(score: Score) -> list[str]:
    """The row of a score."""
    return [
        score.set, score.system, str(score.clips), str(score.words), str(score.wer), f"{score.wer_yo.percent:.1f}",
        str(score.cer), str(score.substitutions), str(score.insertions), str(score.deletions),
        f"{100 * score.clips_without_error / score.clips:.0f} %",
        "" if score.versus is None
        else f"{score.versus.percent:+.1f} ({score.versus.low:+.1f} to {score.versus.high:+.1f})",
    ]  # fmt: skip


def cost_row(system: dict[str, Any]) -> list[str]:
    """The row of what a system costs."""
    per_hour, memory = system["cpu_s_per_hour"], system["memory_mib"]
    return [
        system["name"],
        "unseen" if per_hour is None else f"{per_hour:.0f}",
        "unseen" if per_hour is None else f"{per_hour / 3600:.4f}",
        f"{system['realtime_factor']:.3f}",
        f"{system['mib']:.1f}" if system["mib"] else "unknown",
        "" if memory is None else f"{memory:.0f}",
    ]


def delay_row(system: dict[str, Any]) -> list[str]:
    """The row of a system's delays."""
    found = system["delays"]
    names = ("seen", "right", "final", "closed")
    return [
        system["name"], str(found["words"]),
        *(f"{found[f'{name}_{part}_ms']:.0f}" for name in names for part in ("p50", "p95")),
    ]  # fmt: skip


def change_row(system: dict[str, Any]) -> list[str]:
    """The row of what became of the words that a system's partials showed."""
    found, late = system["delays"], system["late_finals"]
    return [
        system["name"], str(found["settled_words"]), f"{found['changed_later_percent']:.2f}",
        f"{found['changed_by_final_percent']:.2f}", f"{found['respelt_by_final_percent']:.1f}",
        "unseen" if late is None else f"{late:.0f}",
    ]  # fmt: skip


def tables(record: Record) -> list[tuple[str, tuple[str, ...], list[list[str]]]]:
    """Title, head and rows of the tables of numbers."""
    found: list[tuple[str, tuple[str, ...], list[list[str]]]] = []
    found.append(("Words", HEAD, [score_row(score) for score in record.scores]))
    found.append(("Cost", COST_HEAD, [cost_row(system) for system in record.systems]))
    timed = [delay_row(system) for system in record.systems if system["delays"]]
    if timed:
        found.append(("Delays", DELAY_HEAD, timed))
        changed = [change_row(system) for system in record.systems if system["delays"]]
        found.append(("Changes of what was shown", CHANGE_HEAD, changed))
    sure = [
        [s.set, s.system, str(c.words), f"{100 * c.confidence:.1f}", f"{100 * c.right:.1f}", f"{c.error:.1f}"]
        for s in record.scores
        if (c := s.calibration) is not None
    ]
    if sure:
        head = ("set", "system", "words", "mean confidence %", "words right %", "calibration error %")
        found.append(("Confidence", head, sure))
    return found


def screen(record: Record) -> list[str]:
    """The tables for a terminal."""
    lines = []
    for title, head, rows in tables(record):
        widths = [max(len(row[column]) for row in [list(head), *rows]) for column in range(len(head))]
        lines.append(title)
        for row in [list(head), *rows]:
            cells = [
                cell.ljust(width) if index < 2 else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  " + "  ".join(cells).rstrip())
        lines.append("")
    return lines


def write(folder: Path, record: Record) -> None:
    """Write ``report.md``, ``report.html`` and the pictures.

    Raises:
        BenchError: the disk is full, or the like.
    """
    figures = all_figures(record)
    try:
        for name, (_, picture, _) in figures.items():
            (folder / f"{name}.svg").write_text(standalone(picture), encoding="utf-8")
        (folder / "report.md").write_text(_markdown(record, figures), encoding="utf-8")
        (folder / "report.html").write_text(_html(record, figures), encoding="utf-8")
    except OSError as error:
        raise BenchError(f"the results could not be written to {folder} ({error.strerror})") from None


def _known(record: Record) -> dict[str, str]:
    return {**record.settings, **record.machine, **record.versions, "bench": record.revision}


def _frequent(score: Score) -> str:
    shown = [
        f"{said or '∅'} → {heard or '∅'}" + (f" ×{times}" if times > 1 else "") for said, heard, times in score.frequent
    ]
    return ", ".join(shown)


def _example_rows(score: Score) -> list[list[str]]:
    return [[f"{one.file} at {one.seconds:.1f} s", one.said, one.recognised] for one in score.examples]


def _markdown(record: Record, figures: dict[str, tuple[str, str, str]]) -> str:
    parts = ["# Tritone bench: accuracy", f"{record.when}, host {record.host}", f"`{record.command}`"]
    if record.error:
        parts.append(f"**Partial:** {record.error}")
    for title, head, rows in tables(record):
        parts += [f"## {title}", table(head, rows)]
    parts += ["## Pictures", *(f"![{title}]({name}.svg)" for name, (title, _, _) in figures.items())]
    parts += ["## Sets", table(["set", "what"], [[name, title] for name, title in record.sets.items()])]
    parts.append("## Errors\nMost frequent ones, said → recognised; ∅: nothing. Then clips to listen to.")
    for score in record.scores:
        parts.append(f"### {score.set}, {score.system}\n{_frequent(score) or 'none'}")
        if score.examples:
            parts.append(table(["listen to", "said", "recognised"], _example_rows(score)))
    parts += ["## Conditions", HOW, table(["what", "value"], [[n, v] for n, v in _known(record).items() if v])]
    return "\n\n".join(parts) + "\n"


def _html(record: Record, figures: dict[str, tuple[str, str, str]]) -> str:
    body = [
        "<h1>Tritone bench: accuracy</h1>",
        f'<div class="dim">{escape(record.when)} · {escape(record.host)} · '
        f"{escape(record.machine.get('processor', ''))}, {escape(record.machine.get('cores', '?'))} cores</div>",
    ]
    if record.error:
        body.append(f'<p class="bad"><b>Partial:</b> {escape(record.error)}</p>')
    body += [page.card(title, page.table(head, rows)) for title, head, rows in tables(record)]
    cards = [page.card(title, picture, note) for title, picture, note in figures.values()]
    body.append(f'<div class="cards">{"".join(cards)}</div>')
    for score in record.scores:
        rows = "".join(
            f"<tr>{_FIXED}{escape(where)}</td><td>{escape(said)}</td><td>{escape(heard)}</td></tr>"
            for where, said, heard in _example_rows(score)
        )
        listed = f'<table class="text"><tbody>{rows}</tbody></table>' if rows else ""
        title = f"Errors: {score.set}, {score.system}"
        body.append(page.card(title, f"<p>{escape(_frequent(score) or 'none')}</p>{listed}"))
    facts = page.facts({**record.sets, **_known(record)})
    body.append(page.card("Conditions", f"{facts}<p>{escape(HOW)}</p><code>{escape(record.command)}</code>"))
    return page.page(f"Tritone bench: accuracy on {record.host}", body)
