"""Starts synthesis workers as separate processes, replaces crashed ones, and ends them.

What a worker does is in `synthesis`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tritone_acoustic.data.console import say

_MOST_RESTARTS = 50


class Workers:
    """A set of synthesis processes.

    Args:
        count: how many.
        pool: folder they append to.
        voices: synthesiser folder.
        texts: folder of the sentence lists.
        seed: base of their seeds.
        log: file that takes what they print.
        festival_share: share of the utterances spoken by unit selection, if data/festival lies beside `voices`.
    """

    def __init__(
        self, count: int, pool: Path, voices: Path, texts: Path, seed: int, log: Path, festival_share: float = 0.3
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open("ab")
        self._arguments = ["--voices", str(voices), "--texts", str(texts), "--seed", str(seed)]
        root = voices.resolve().parent
        if (root / "festival").is_dir() and festival_share > 0:
            self._arguments += ["--festival", str(root / "festival"), "--festival-share", str(festival_share)]
            self._arguments += ["--recordings", str(root / "sets/festvox_train")]
        self._pool = pool
        self.restarts = 0
        self._processes = {number: self._start(number) for number in range(count)}

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        # One thread each: the workers fill the cores by themselves.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        return subprocess.Popen(
            [sys.executable, "-m", "tritone_acoustic.data.synthesis", str(self._pool), str(number), *self._arguments],
            stdout=self._log,
            stderr=self._log,
            stdin=subprocess.DEVNULL,
            env=environment,
        )

    def check(self) -> None:
        """Replaces every worker that has ended; gives up replacing after many crashes."""
        for number, process in self._processes.items():
            if process.poll() is not None and self.restarts < _MOST_RESTARTS:
                self.restarts += 1
                say(f"synthesis worker {number} ended with status {process.returncode}; starting it again")
                self._processes[number] = self._start(number)

    @property
    def alive(self) -> int:
        """How many workers run."""
        return sum(process.poll() is None for process in self._processes.values())

    def stop(self) -> None:
        """Ends all workers and waits for them."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(timeout=20)
        self._log.close()
