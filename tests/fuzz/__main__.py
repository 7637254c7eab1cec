"""`make fuzz`: every target under a coverage-guided fuzzer, with its totals as JSON.

A crash, an exception that is no user's error, 20 s without an end or 2 GiB of memory stop a target and leave its input.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.fuzz.targets import ROOT, TARGETS, Target, regressions, seeds

HANG_S = 20
MEMORY_MB = 2048
PULSE = re.compile(r"^#(\d+)\s+(\w+)\s+cov: (\d+) ft: (\d+).* rss: (\d+)Mb", re.MULTILINE)


def main() -> int:
    """Run the targets; 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz every target.")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], metavar="TARGET", help="default: all")
    parser.add_argument("--inputs", type=float, default=1.0, metavar="X", help="times the usual number (1)")
    parser.add_argument("--seconds", type=int, default=0, metavar="S", help="at most so long per target")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations (1)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the totals go, as JSON")
    options = parser.parse_args()
    try:
        import atheris  # noqa: F401
    except ModuleNotFoundError:
        print("tritone: atheris is not installed for this Python: pip install 'tritone[dev]'", file=sys.stderr)
        return 2
    rows = []
    for name in options.targets or TARGETS:
        target = TARGETS[name]
        rows.append(fuzz(target, max(1, round(target.inputs * options.inputs)), options.seconds, options.seed))
        print("{target:13} {inputs:>8} inputs {seconds:>6.0f} s  {branches:>5} branches  {memory}  {outcome}".format(
            **rows[-1], memory=f"{rows[-1]['rss_mb'][0]} to {rows[-1]['rss_mb'][1]} MB"
        ), flush=True)  # fmt: skip
        if options.out:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    failed = [row["target"] for row in rows if row["outcome"] != "clean"]
    print(f"{sum(row['inputs'] for row in rows)} inputs, {len(rows)} targets, failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def fuzz(target: Target, inputs: int, seconds: int, seed: int) -> dict[str, Any]:
    """Run one target and say how it went; ``rss_mb`` is after a fifth of the inputs and at the end."""
    with tempfile.TemporaryDirectory(prefix="tritone-fuzz-") as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, data in enumerate([*seeds(target.name), *(path.read_bytes() for path in regressions(target.name))]):
            (corpus / f"seed-{number}").write_bytes(data)
        command = [sys.executable, "-m", "tests.fuzz.one", target.name, f"-runs={inputs}", f"-seed={seed}"]
        command += [f"-max_len={target.longest}", f"-timeout={HANG_S}", f"-rss_limit_mb={MEMORY_MB}"]
        command += [f"-artifact_prefix={folder}/found-", "-print_final_stats=1", f"-max_total_time={seconds}"]
        began = time.monotonic()
        ran = subprocess.run(
            [*command, str(corpus)],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        output = ran.stdout.decode("utf-8", "replace")
        taken = time.monotonic() - began
        outcome = "clean"
        for found in sorted(Path(folder).glob("found-*")):
            kept = ROOT / "fuzz-findings" / target.name / found.name
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(found.read_bytes())
            outcome = f"input kept as {kept.relative_to(ROOT)}: {_cause(output)}"
        if ran.returncode and outcome == "clean":
            outcome = f"exit status {ran.returncode}: {_cause(output)}"
    pulses = [(int(n), int(coverage), int(rss)) for n, _, coverage, _, rss in PULSE.findall(output)]
    executed = re.search(r"stat::number_of_executed_units:\s+(\d+)", output)
    done = int(executed.group(1)) if executed else (pulses[-1][0] if pulses else 0)
    early = [rss for n, _, rss in pulses if n <= done / 5]
    return {
        "target": target.name,
        "inputs": done,
        "seconds": round(taken, 1),
        "branches": pulses[-1][1] if pulses else 0,
        "rss_mb": [early[-1] if early else 0, pulses[-1][2] if pulses else 0],
        "seed": seed,
        "outcome": outcome,
    }


def _cause(output: str) -> str:
    lines = [line for line in output.splitlines() if re.match(r"\w*(Error|Exception|Interrupt)\b|ERROR|==\d+==", line)]
    return lines[0][:300] if lines else "see the target's output"


if __name__ == "__main__":
    sys.exit(main())
