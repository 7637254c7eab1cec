"""Runs inside a real tritonserver of the chaos tests: the default engine, made to fail by a file that a test writes.

The service knows nothing of it: the tests' model repository swaps the engine, so that no flag of the product can.
"""

from __future__ import annotations

import os
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
    """An engine that looks for a command before every step: ``fail N``, ``oom N`` or ``stall SECONDS``."""

    def __init__(self, engine, command: str) -> None:
        self._engine = engine
        self._command = command
        self._fail = 0
        self._error: Exception = RuntimeError("told to fail")
        self.spec, self.name = engine.spec, engine.name

    @property
    def timing(self):
        return self._engine.timing

    def allocate(self, slots: int) -> None:
        self._engine.allocate(slots)

    def step(self, signal, slots, fresh):
        if os.path.exists(self._command):  # noqa: PTH110 - cheaper, and it is asked every step
            self._obey()
        if self._fail > 0:
            self._fail -= 1
            raise self._error
        return self._engine.step(signal, slots, fresh)

    def _obey(self) -> None:
        path = Path(self._command)
        word, value = path.read_text().split()
        path.unlink()
        if word == "stall":
            time.sleep(float(value))
        else:
            self._fail = int(value)
            self._error = MemoryError("CUDA out of memory") if word == "oom" else RuntimeError("told to fail")


def order(command: Path, text: str) -> None:
    """Give a command, in one step so that no half of it is read."""
    part = command.with_suffix(".part")
    part.write_text(text)
    part.rename(command)
