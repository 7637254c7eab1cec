"""Gathers the results of a run in a few small files, and draws the learning curve.

Files of a run are written by `loop`; parts are cut by `checkpoints`.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from tritone_acoustic.data.console import say
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.training.checkpoints import split_file
from tritone_acoustic.training.loop import COMPACT, DONE, METRICS

_LARGEST = 15 * 2**20


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Reads the measurements of a run.

    Args:
        run: its folder.

    Returns:
        One entry per line of metrics.jsonl.

    Raises:
        TrainingDataError: there are none.
    """
    path = run / METRICS
    if not path.exists():
        raise TrainingDataError(f"{run} holds no {METRICS}: has the training started?")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


def draw_curve(entries: list[dict[str, Any]], path: Path) -> bool:
    """Draws loss, learning rate and word error rates over audio heard.

    Args:
        entries: measurements.
        path: a .png file.

    Returns:
        False if matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return False
    # Optional and without stubs, so it is imported by name.
    importlib.import_module("matplotlib").use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")

    figure, (upper, lower) = pyplot.subplots(2, 1, figsize=(8, 7), sharex=True)
    hours = [entry["heard_hours"] for entry in entries]
    upper.plot(hours, [entry["loss"] for entry in entries], label="loss per letter")
    upper.set_yscale("log")
    upper.legend(loc="upper right")
    for name in ("synthetic_dev", "festvox_dev"):
        points = [(entry["heard_hours"], entry[f"{name}_wer"]) for entry in entries if f"{name}_wer" in entry]
        if points:
            lower.plot(*zip(*points, strict=True), marker="o", label=f"{name} WER %")
    lower.set_xlabel("hours of speech heard (with repetition)")
    lower.set_ylim(0, 105)
    lower.legend(loc="upper right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True


def collect(run: Path, out: Path) -> None:
    """Copies what a run has produced so far: weights in parts, metrics, curve, log.

    Args:
        run: folder of the run.
        out: where the files go; at most eight, each under 16 MiB.
    """
    out.mkdir(parents=True, exist_ok=True)
    if (run / COMPACT).exists():
        for part in split_file(run / COMPACT, out):
            say(f"{part.name}: {part.stat().st_size / 2**20:.1f} MiB")
    for name in (METRICS, "train.log"):
        source = run / name
        if source.exists() and source.stat().st_size <= _LARGEST:
            shutil.copyfile(source, out / name)
    entries = read_metrics(run)
    checks = [entry for entry in entries if any(key.endswith("_wer") for key in entry)]
    summary = {"finished": (run / DONE).exists(), "last": entries[-1:], "checks": checks}
    (out / "summary.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1), encoding="utf-8")
    if not draw_curve(entries, out / "learning_curve.png"):
        say("no learning curve: matplotlib is not installed")


def _alive(run: Path) -> bool:
    """Whether the process that `train_on_gpu.sh` started lives (True if there is no note of one)."""
    note = run / "pid"
    if not note.exists():
        return True
    stat = Path("/proc") / note.read_text().strip() / "stat"
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def watch(run: Path, seconds: float) -> bool:
    """Prints the log of a run as it grows, until it is done or the time is over.

    Args:
        run: folder of the run.
        seconds: longest time to watch.

    Returns:
        True if the run is done.
    """
    log, end, place = run / "train.log", time.monotonic() + seconds, 0
    while True:
        if log.exists():
            with log.open(encoding="utf-8", errors="replace") as stream:
                stream.seek(place)
                for line in stream:
                    sys.stdout.write(line)
                sys.stdout.flush()
                place = stream.tell()
        done = (run / DONE).exists()
        if not done and not _alive(run):
            say("the training process has ended before it was done: start it again to go on")
            return False
        if done or time.monotonic() > end:
            return done
        time.sleep(1.0)
