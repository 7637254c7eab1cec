"""Runs inside a real tritonserver of the chaos tests: the default engine, made to fail by a file that a test writes.

The service knows nothing of it: the tests' model repository swaps the engine, so that no flag of the product can.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

MODEL = """
import sys
sys.path[:0] = [{root!r}, {root!r} + "/backend"]
from tests.chaos.obedient import ObedientEngine
from tritone_backend.triton import service
create = service.create_engine
def create_obedient(*args, **options):
    engine, why = create(*args, **options)
    return ObedientEngine(engine, {command!r}), why
service.create_engine = create_obedient
from tritone_backend.triton.asr import AsrModel as TritonPythonModel
"""


class ObedientEngine:
    """An engine whose lanes look for a command before every step: ``fail N``, ``oom N`` or ``stall SECONDS``."""

    def __init__(self, engine, command: str) -> None:
        self._engine = engine
        self._command = command
        self._fail = 0
        self._error: Exception = RuntimeError("told to fail")
        self._turn = threading.Lock()
        self.spec, self.name, self.step, self.allocate = engine.spec, engine.name, engine.step, engine.allocate
        self.lanes = tuple(ObedientLane(lane, self.obey) for lane in engine.lanes)

    @property
    def timing(self):
        return self._engine.timing

    def obey(self) -> None:
        """Do what was last ordered, from any lane."""
        pause = 0.0
        with self._turn:
            if os.path.exists(self._command):  # noqa: PTH110 - cheaper, and it is asked every step
                pause = self._read()
            if self._fail > 0:
                self._fail -= 1
                raise self._error
        time.sleep(pause)

    def _read(self) -> float:
        path = Path(self._command)
        word, value = path.read_text().split()
        path.unlink()
        if word == "stall":
            return float(value)
        self._fail = int(value)
        self._error = MemoryError("CUDA out of memory") if word == "oom" else RuntimeError("told to fail")
        return 0.0


class ObedientLane:
    """A lane that asks before every step."""

    def __init__(self, lane, obey) -> None:
        self._lane, self._obey = lane, obey

    @property
    def timing(self):
        return self._lane.timing

    def step(self, signal, slots, fresh):
        self._obey()
        return self._lane.step(signal, slots, fresh)


def order(command: Path, text: str) -> None:
    """Give a command, in one step so that no half of it is read."""
    part = command.with_suffix(".part")
    part.write_text(text)
    part.rename(command)
