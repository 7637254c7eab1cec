"""`python -m tests.chaos`: many seeded schedules, a summary that fits a screen, raw results as JSON lines.

python -m tests.chaos --seeds 200             schedules inside one process
python -m tests.chaos --outside 8             schedules against two real servers, with processes and sockets
python -m tests.chaos --table                 every fault once, by itself, against two real servers: the table
python -m tests.chaos --seeds 1 --first 17    one schedule again
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import traceback
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=0, metavar="N", help="schedules inside one process")
    parser.add_argument("--outside", type=int, default=0, metavar="N", help="schedules against real servers")
    parser.add_argument("--table", action="store_true", help="every fault by itself against real servers")
    parser.add_argument("--fault", action="append", metavar="NAME", help="only this fault of the table; repeatable")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed (0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="append raw results to files in this folder")
    args = parser.parse_args()
    failed = 0
    if args.seeds:
        failed += inside(range(args.first, args.first + args.seeds), args.out)
    if args.outside or args.table or args.fault:
        from tests.chaos.outside_run import outside, table

        if args.outside:
            failed += asyncio.run(outside(range(args.first, args.first + args.outside), args.out))
        if args.table or args.fault:
            failed += asyncio.run(table(args.fault, args.out))
    return min(failed, 1)


def keep(folder: Path | None, name: str, record: dict) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def inside(seeds: range, out: Path | None) -> int:
    from tests.chaos.inside_run import Outcome, run_inside

    began = time.monotonic()
    total, broken, others = Outcome(), [], []
    for seed in seeds:
        try:
            outcome = run_inside(seed)
        except Exception as error:
            traceback.print_exc()
            broken.append((seed, f"{type(error).__name__}: {error}"))
            keep(out, "inside.jsonl", {"seed": seed, "broken": f"{error!r:.500}"})
            continue
        total.strikes += outcome.strikes
        for name in ("streams", "finals", "resumed", "refused", "not_admitted"):
            setattr(total, name, getattr(total, name) + getattr(outcome, name))
        others += outcome.others_s
        record = asdict(outcome) | {"seed": seed, "strikes": dict(outcome.strikes)}
        record["others_ms"] = quantiles(record.pop("others_s"))
        record["took_s"] = round(outcome.took_s, 2)
        keep(out, "inside.jsonl", record)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K  seed {seed}: {total.streams} calls, {total.strikes.total()} faults")
    print_summary("in one process", len(seeds), broken, total.strikes)
    print(f"  calls        {total.streams} ended, {total.finals} finals, each exactly once and as undisturbed")
    print(f"  resumed      {total.resumed} times; {total.refused} refusals; {total.not_admitted} openings tried again")
    print(f"  others       {quantiles(others)} ms for a request to a server that nothing had struck")
    print(f"  took         {time.monotonic() - began:.0f} s")
    return len(broken)


def print_summary(where: str, seeds: int, broken: list[tuple[int, str]], strikes: Counter[str]) -> None:
    print(f"chaos {where}: {seeds - len(broken)} of {seeds} schedules held every invariant")
    for seed, why in broken:
        print(f"  BROKEN       seed {seed}: {why[:200]}")
    listed = [f"{fault} {count}" for fault, count in sorted(strikes.items())]
    for first in range(0, len(listed), 5):
        print(f"  {'faults' if not first else '':12} {', '.join(listed[first : first + 5])}")


def quantiles(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    values = np.percentile(np.array(seconds) * 1e3, (50, 99, 100))
    return {name: round(float(value), 1) for name, value in zip(("p50", "p99", "max"), values, strict=True)}


if __name__ == "__main__":
    sys.exit(main())
