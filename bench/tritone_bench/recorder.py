"""Keeps what happened to every chunk of one generator process. Decides nothing about streams."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Iterable

import numpy as np

from tritone_bench import kserve
from tritone_bench.calls import PERIOD_S
from tritone_bench.line import Line
from tritone_bench.task import Mistake, Outcome, Progress, Report, Task

MAX_MISTAKES = 3
MAX_ERRORS = 20
_REFUSALS = ("[tritone:full", "[tritone:draining")
_INTERNAL = 13


class Recorder:
    """Counts within the window of a task; times are ``time.monotonic()`` seconds."""

    def __init__(self, task: Task, start: float) -> None:
        self._from = start + task.warm_s
        self._to = self._from + task.measure_s
        self._due = array("d")
        self._latency = array("f")
        self._outcome = bytearray()
        self._lag = array("f")
        self._timing: list[bytes] = []
        self._errors: Counter[str] = Counter()
        self._mistakes: list[Mistake] = []
        self._cpu: list[float] = []
        self._threshold = task.threshold_s
        self._answered = self._late = self._lost = self._over = self._refused = self._most_live = 0
        self._finished = self._checked = self._wrong = self._differing = 0
        self.begun = 0
        self.fatal: str | None = None

    def tick(self, now: float) -> None:
        """Note processor time when the window opens and when it closes."""
        if (not self._cpu and now >= self._from) or (len(self._cpu) == 1 and now >= self._to):
            self._cpu.append(time.process_time())

    def cut(self, now: float) -> None:
        """The run ends early."""
        self._to = min(self._to, now)

    def sent_when_free(self, due: float, lag: float) -> None:
        """A stream that was free when its chunk was due sent it `lag` seconds later."""
        if self._from <= due < self._to:
            self._lag.append(lag)

    def answered(self, line: Line, now: float, payload: bytes) -> None:
        """An answer to the line's current chunk."""
        # What a phrase sounds like when it is cut in the middle, no call alone has said: nothing to compare with.
        unknown = line.broken_off
        if line.asked_timing or not (unknown or line.transcript.matches(payload, line.index)):
            try:
                outputs = kserve.named_outputs(payload)
                if not unknown:
                    line.transcript.add(line.index, outputs["events"])
            except (ValueError, KeyError, TypeError) as error:
                self.failed(line, now, _INTERNAL, f"an answer that cannot be read: {error!r}")
                return
            if line.asked_timing and self._from <= line.due < self._to:
                latency = np.array([(now - line.due) * 1e6], np.float32)
                self._timing.append(latency.tobytes() + outputs.get("timing", b""))
        self._add(line.due, now, Outcome.ANSWERED)

    def failed(self, line: Line, now: float, status: int, message: str) -> None:
        """An error came instead of an answer."""
        refused = any(tag in message for tag in _REFUSALS)
        self._refused += refused
        if not line.hanging_up:
            self._add(line.due, now, Outcome.REFUSED if refused else Outcome.FAILED)
        if len(self._errors) < MAX_ERRORS or message in self._errors:
            self._errors[message or f"gRPC status {status}"] += 1

    def ended(self, line: Line, *, whole: bool) -> None:
        """A call came to its end, or was ended early; compare its words."""
        transcript = line.transcript
        self._finished += whole
        self._checked += 1
        if transcript.is_wrong(whole=whole):
            self._wrong += 1
            if len(self._mistakes) < MAX_MISTAKES:
                script = line.script
                self._mistakes.append(Mistake(script.call.name, " ".join(script.words), " ".join(transcript.words)))
        elif transcript.differs:
            self._differing += 1

    def progress(self, live: int) -> Progress:
        """Totals of the window so far."""
        self._most_live = max(self._most_live, live)
        return Progress(self._answered, self._late, self._lost, self._over, self._refused, live)

    def report(self, now: float, lines: Iterable[Line]) -> Report:
        """Close the books; lines that still owe answers count as missing, what they had yet to say as unsent."""
        for line in lines:
            due, outcome = line.due, Outcome.MISSING if line.busy else Outcome.UNSENT
            if line.hanging_up:
                continue
            while due < min(self._to, now):
                self._add(due, now, outcome)
                due, outcome = due + PERIOD_S, Outcome.UNSENT
        self._cpu += [time.process_time()] * (2 - len(self._cpu))
        width = max(map(len, self._timing), default=4)
        timing = [row for row in self._timing if len(row) == width]
        return Report(
            due_s=np.array(self._due) - self._from,
            latency_s=np.array(self._latency, np.float32),
            outcome=np.frombuffer(bytes(self._outcome), np.uint8),
            lag_s=np.array(self._lag, np.float32),
            timing_us=np.frombuffer(b"".join(timing), np.float32).reshape(-1, width // 4),
            begun=self.begun,
            finished=self._finished,
            checked=self._checked,
            wrong=self._wrong,
            differing=self._differing,
            mistakes=self._mistakes,
            errors=dict(self._errors),
            fatal=self.fatal,
            cpu_s=self._cpu[1] - self._cpu[0],
            most_live=self._most_live,
        )

    def _add(self, due: float, now: float, outcome: Outcome) -> None:
        if self._from <= due < self._to:
            latency = now - due
            self._due.append(due)
            self._latency.append(latency)
            self._outcome.append(outcome)
            self._answered += outcome == Outcome.ANSWERED
            self._late += outcome == Outcome.ANSWERED and latency > PERIOD_S
            self._over += outcome != Outcome.ANSWERED or latency > self._threshold
            self._lost += outcome in (Outcome.FAILED, Outcome.MISSING)
