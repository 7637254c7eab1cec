"""Draws chunks/s against batch size from the JSON that engine.py left in a folder: ``engine_picture FOLDER``.

Needs neither PyTorch nor a GPU; the charts themselves are in report/svg.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tritone_bench.report.page import STYLE
from tritone_bench.report.scales import logarithmic
from tritone_bench.report.svg import Series, lines
from tritone_bench.screen import out


def draw(folder: Path, batch: int = 1024) -> str:
    """Return a stand-alone SVG.

    Args:
        folder: holds ``engine-ladder-BATCH.json`` and ``engine-naive-BATCH.json``.
        batch: the number in those names.

    Raises:
        OSError: one of the files is not there.
    """
    ladder = json.loads((folder / f"engine-ladder-{batch}.json").read_text(encoding="utf-8"))
    naive = json.loads((folder / f"engine-naive-{batch}.json").read_text(encoding="utf-8"))
    ours = [(float(size), row["two_in_flight_chunks_per_s"]) for size, row in ladder.items()]
    theirs = [(float(size), row["chunks_per_s"]) for size, row in naive.items()]
    series = [Series("engine", ours, "s3"), Series("naive", theirs, "alt")]
    x = logarithmic([at for at, _ in ours + theirs])
    y = logarithmic([rate for _, rate in ours + theirs])
    return stand_alone(lines(series, x, y, "batch size", "chunks/s"))


def stand_alone(chart: str) -> str:
    """Return a chart of report/svg.py as a file of its own, with its style and background inside."""
    head = '<svg xmlns="http://www.w3.org/2000/svg" '
    background = '<rect width="100%" height="100%" style="fill:var(--bg)"/>'
    first, rest = chart.replace("<svg ", head, 1).split(">", 1)
    return f"{first}><style>{STYLE}svg{{font-family:sans-serif}}</style>{background}{rest}\n"


def main() -> int:
    """Write ``chunks-per-second.svg`` into the folder."""
    parser = argparse.ArgumentParser(description="Draw the measurements of the torch engine.")
    parser.add_argument("folder", type=Path, help="folder with the JSON of the ladder and naive sections")
    parser.add_argument("--batch", type=int, default=1024, help="the number in the files' names")
    args = parser.parse_args()
    try:
        text = draw(args.folder, args.batch)
    except OSError as error:
        out(f"{error.filename} cannot be read ({error.strerror}): run bench/run_gpu.sh speed naive first")
        return 2
    target = args.folder / "chunks-per-second.svg"
    target.write_text(text, encoding="utf-8")
    out(f"wrote {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
