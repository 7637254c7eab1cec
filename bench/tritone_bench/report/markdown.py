"""A run as Markdown, for a repository's page or an issue."""

from __future__ import annotations

from tritone_bench.report.html import HOW, LEVEL_HEAD, cells, headline, numbers
from tritone_bench.run import Run


def table(head: tuple[str, ...] | list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def render(run: Run) -> str:
    """The text."""
    big, meaning = headline(run)
    level = run.main
    parts = [f"# Tritone bench: {big}", f"{meaning[0].upper()}{meaning[1:]}."]
    if run.error:
        parts.append(f"**Partial:** {run.error}")
    if run.limit:
        parts.append(f"**Limit:** {run.limit}")
    if level is not None:
        parts.append(table(["what", "value"], [list(pair) for pair in numbers(level, run)]))
        parts += ["## Loads", table(LEVEL_HEAD, [cells(one) for one in run.levels])]
        if level.stages:
            rows = [
                [stage.name, *(f"{value:.0f}" for value in (stage.mean_us, stage.p50_us, stage.p95_us, stage.p99_us))]
                for stage in level.stages
            ]
            parts += ["## Stages, microseconds", table(["stage", "mean", "p50", "p95", "p99"], rows)]
    known = {**run.machine, **run.versions, "bench": run.revision, **run.service, **run.settings}
    parts += ["## Conditions", f"{run.when}, host {run.host}", f"`{run.command}`", HOW]
    parts.append(table(["what", "value"], [[name, value] for name, value in known.items() if value]))
    return "\n\n".join(parts) + "\n"
