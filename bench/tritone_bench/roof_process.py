"""The engine's roof, measured in a process of its own before a service is started here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

TIMEOUT_S = 300.0


def measure_roof(options: Sequence[str], *, gpu: bool, seconds: float) -> float | None:
    """Most chunks per second of any batch size, or None when the engine cannot be measured here.

    Args:
        options: of `tritone bench roof`: model, engine, threads.
        gpu: the machine has one, so that larger batches pay.
        seconds: per batch size.
    """
    batches = "16,64,256,1024" if gpu else "1,4,8,16,32"
    words = ["bench", "roof", *options, "--batches", batches, "--seconds", str(seconds), "--json"]
    command = [sys.executable, "-m", "tritone_client.cli.main", *words]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=True, stdin=subprocess.DEVNULL)
        rows = json.loads(done.stdout)
        return max(float(row["chunks_per_s"]) for row in rows)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None
