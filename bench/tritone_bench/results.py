"""The folder of a run: record, raw data, report. Drawing is in report."""

from __future__ import annotations

import gzip
from datetime import datetime, timezone
from pathlib import Path

from tritone_bench.errors import BenchError
from tritone_bench.machine import host_name
from tritone_bench.run import Run, raw_rows
from tritone_bench.task import Report

MAX_RAW_ROWS = 20_000


def default_folder() -> Path:
    """Where results go unless told otherwise: the checkout's, or a folder here."""
    checkout = Path(__file__).resolve().parents[1]
    return checkout / "results" if (checkout / "run.sh").exists() else Path("tritone-bench-results")


def now() -> str:
    """The time in UTC, as results are stamped with."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def prepare_folder(parent: Path, when: str, kind: str = "") -> Path:
    """Make the folder of a run before anything is measured, so that a place that cannot be written to costs no time.

    Args:
        parent: where it goes.
        when: time of the run, as `now` says it.
        kind: ends the folder's name.

    Raises:
        BenchError: it cannot be made.
    """
    name = when.replace(":", "").replace("-", "").rstrip("Z") + "-" + host_name() + (f"-{kind}" if kind else "")
    try:
        for attempt in range(100):
            folder = parent / (name if not attempt else f"{name}-{attempt + 1}")
            if not folder.exists():
                folder.mkdir(parents=True)
                return folder
    except OSError as error:
        raise BenchError(f"results cannot be kept in {parent} ({error.strerror}); choose a folder with --out") from None
    raise BenchError(f"{parent} is full of results of this second; choose another folder with --out")


def write(folder: Path, run: Run, report: Report | None) -> None:
    """Write everything a run leaves behind.

    Args:
        folder: an existing one.
        run: the record.
        report: raw data of its main level.

    Raises:
        BenchError: the disk is full, or the like.
    """
    from tritone_bench.report import html, markdown

    try:
        run.save(folder / "run.json")
        (folder / "report.md").write_text(markdown.render(run), encoding="utf-8")
        (folder / "report.html").write_text(html.render(run), encoding="utf-8")
        if report is not None:
            rows = "\n".join(["due_s,latency_ms,outcome", *raw_rows(report, MAX_RAW_ROWS), ""])
            with gzip.GzipFile(folder / "chunks.csv.gz", "wb", mtime=0) as file:
                file.write(rows.encode())
    except OSError as error:
        raise BenchError(
            f"the results could not be written to {folder} ({error.strerror}); they are not whole"
        ) from None


def discard_if_empty(folder: Path) -> None:
    """Remove a folder that nothing was written to."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
