"""A soak run for people: the screen at its end, HTML, Markdown, the picture."""

from __future__ import annotations

from html import escape
from pathlib import Path

from tritone_bench.report import markdown, page
from tritone_bench.soak import verdict
from tritone_bench.soak.picture import charts, picture
from tritone_bench.soak.record import Soak
from tritone_bench.soak.verdict import Check

HOW = (
    "Calls arrive as a Poisson process and are broken off after an exponential time, or end by themselves; a call that "
    "finds no slot is refused and does not come back. Beside them a visitor a second opens a connection of its own for "
    "one chunk, and one visitor in thirty hangs up without ending its call. Every answer is compared with what the "
    "service says to the same call alone. Growth is the median slope between samples after the warm-up."
)


def headline(soak: Soak, checks: list[Check]) -> str:
    """The answer in one line."""
    failed = [check.name for check in checks if not check.passed]
    answer = "passed" if verdict.passed(checks) else f"FAILED: {'; '.join(failed)}"
    plan = soak.plan
    return (
        f"Soak {answer} ({plan.share:.0%} of {plan.capacity} streams for {plan.seconds / 60:g} min, "
        f"the first {plan.warm_s / 60:.3g} of them to warm up)"
    )


def summary(soak: Soak, checks: list[Check]) -> list[str]:
    """The screen that a run ends with."""
    lines = [headline(soak, checks)]
    level = soak.level
    if level is not None and level.chunks:
        lines.append(
            f"  load      {soak.calls} calls, {soak.plan.arrivals_per_s:.2f} a second; {level.chunks} chunks, "
            f"p50 {level.p50_ms:.1f}, p99 {level.p99_ms:.1f}, max {level.max_ms:.1f} ms, {level.late} late"
        )
    guests = soak.guests
    lines.append(
        f"  visitors  {guests.served} served, {guests.vanished} vanished, {guests.refused} refused, "
        f"{guests.failed} failed"
    )
    return lines + [
        f"  {'ok ' if check.passed else 'NOT'}       {check.name}: {check.seen} (limit: {check.bound})"
        for check in checks
    ]


def write(folder: Path, soak: Soak, checks: list[Check]) -> None:
    """Write ``report.html``, ``report.md`` and ``soak.svg``.

    Raises:
        OSError: the disk is full, or the like.
    """
    title = headline(soak, checks)
    (folder / "soak.svg").write_text(picture(soak, title), encoding="utf-8")
    (folder / "report.html").write_text(_html(soak, checks, title), encoding="utf-8")
    (folder / "report.md").write_text(_markdown(soak, checks, title), encoding="utf-8")


def _rows(checks: list[Check]) -> list[list[str]]:
    return [[check.name, check.seen, check.bound, "ok" if check.passed else "failed"] for check in checks]


def _facts(soak: Soak) -> dict[str, str]:
    known = {**soak.machine, **soak.versions, "bench": soak.revision, **soak.service}
    return {**known, "remark": soak.remark} if soak.remark else known


def _html(soak: Soak, checks: list[Check], title: str) -> str:
    answer = "passed" if verdict.passed(checks) else "failed"
    body = [
        "<h1>Tritone bench: soak</h1>",
        f'<div class="dim">{escape(soak.when)} · {escape(soak.host)}</div>',
        f'<div class="big {"good" if answer == "passed" else "bad"}">{answer}</div><div>{escape(title)}</div>',
    ]
    if soak.error:
        body.append(f'<p class="bad"><b>Partial:</b> {escape(soak.error)}</p>')
    table = page.table(("check", "seen", "limit", "verdict"), _rows(checks))
    body.append(page.card("Verdict", table))
    body.append(f'<div class="cards">{"".join(page.card(*one) for one in charts(soak))}</div>')
    body.append(page.card("How it was measured", f"<p>{HOW}</p><code>{escape(soak.command)}</code>"))
    body.append(page.card("Conditions", page.facts(_facts(soak))))
    return page.page(f"Tritone soak: {answer}", body)


def _markdown(soak: Soak, checks: list[Check], title: str) -> str:
    parts = [f"# {title}", f"{soak.when}, host {soak.host}, `{soak.command}`"]
    if soak.error:
        parts.append(f"**Partial:** {soak.error}")
    parts += [markdown.table(("check", "seen", "limit", "verdict"), _rows(checks)), "![over time](soak.svg)", HOW]
    facts = [[name, value] for name, value in _facts(soak).items() if value]
    return "\n\n".join([*parts, "## Conditions", markdown.table(("what", "value"), facts)]) + "\n"
