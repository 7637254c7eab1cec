"""What TensorRT calls back while it works: a log that is kept instead of printed, and progress as lines of text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

PAUSE = 1.0
"""Least seconds between two lines of progress."""


def make_logger(api: Any, complaints: list[str]) -> Any:
    """Return a TensorRT logger that appends errors to a list."""
    grave = (api.ILogger.Severity.ERROR, api.ILogger.Severity.INTERNAL_ERROR)

    class Collector(api.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            api.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            if severity in grave:
                complaints.append(text)

    return Collector()


@dataclass
class _Phase:
    steps: int
    done: int = 0


def make_monitor(api: Any, say: Callable[[str], None], clock: Callable[[], float] = perf_counter) -> Any:
    """Return a progress monitor that tells, at most once in ``PAUSE``, which phases are under way and how far.

    TensorRT may call it from several threads; a phase that another thread has ended is passed over.
    """

    class Monitor(api.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            api.IProgressMonitor.__init__(self)
            self.phases: dict[str, _Phase] = {}
            self.said = clock() - PAUSE

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.phases[phase_name] = _Phase(num_steps)
            self.tell()

        def step_complete(self, phase_name: str, step: int) -> bool:
            phase = self.phases.get(phase_name)
            if phase is not None:
                phase.done = step + 1
            self.tell()
            return True

        def phase_finish(self, phase_name: str) -> None:
            self.phases.pop(phase_name, None)

        def tell(self) -> None:
            if clock() - self.said >= PAUSE:
                self.said = clock()
                phases = list(self.phases.items())
                say(" > ".join(f"{name} {phase.done}/{phase.steps}" for name, phase in phases))

    return Monitor()
