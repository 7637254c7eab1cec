"""One generator process: keeps its streams on schedule and records every chunk. Many of them make a load.

A select loop over a few connections; nothing is parsed or serialised on the way (see kserve and line).
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import secrets
import select
import time
from heapq import heappop, heappush
from multiprocessing.connection import Connection

from tritone_bench import kserve
from tritone_bench.calls import PERIOD_S
from tritone_bench.errors import BenchError
from tritone_bench.http2 import Answer, Http2Connection
from tritone_bench.line import Line, Script
from tritone_bench.recorder import Recorder
from tritone_bench.task import Ready, Report, Task

RETRY_S = 1.0
PRIORITY = -10
PROGRESS_S = 0.5
MAX_SLEEP_S = 0.25


class Worker:
    """Runs one task. `run` returns when every call was ended and answered, or when waiting is of no use."""

    def __init__(self, task: Task, control: Connection) -> None:
        self._task = task
        self._control = control
        self._random = random.Random(task.seed)  # noqa: S311
        self._scripts = [Script(call) for call in task.calls]
        self._options = kserve.options(task.options)
        self._recorder = Recorder(task, 0.0)
        self._heap: list[tuple[float, int, Line]] = []  # lines that are free, by when they have something to do
        self._pushed = 0
        self._sent = 0
        self._lines: set[Line] = set()
        self._stop_at = 0.0
        self._connections: list[Http2Connection[Line]] = []

    def run(self) -> Report:
        """Connect, hold the load, end all calls.

        Raises:
            ServiceError: nothing answers at the address.
        """
        task = self._task
        for _ in range(task.connections):
            self._connections.append(Http2Connection(task.host, task.port, kserve.METHOD))
        self._control.send(Ready())
        start = self._control.recv()
        if not isinstance(start, float):  # told to stop before it began
            for connection in self._connections:
                connection.close()
            return self._recorder.report(0.0, [])
        self._recorder = Recorder(task, start)
        self._stop_at = start + task.warm_s + task.measure_s
        for number in range(task.streams):
            line = Line(number % task.connections)
            self._begin(line, start + self._random.uniform(0.0, max(task.ramp_s, PERIOD_S)))
        next_arrival = start + self._gap() if task.arrivals_per_s else float("inf")
        gc.freeze()
        gc.disable()  # nothing here makes cycles, and a collection is a pause for every stream

        last_answer, next_progress = time.monotonic(), 0.0
        while True:
            now = time.monotonic()
            self._recorder.tick(now)
            stopping = now >= self._stop_at
            while next_arrival <= now < self._stop_at:
                self._begin(Line(self._random.randrange(task.connections)), next_arrival)
                next_arrival += self._gap()
            while self._heap and self._heap[0][0] <= now:
                self._speak(heappop(self._heap)[2], now, free=True)
            if stopping and (not self._hang_up() or now > self._stop_at + task.drain_s):
                break
            for connection in self._connections:
                if connection.wants_to_write:
                    connection.flush()
            if self._wait(now, min(next_arrival, self._stop_at if not stopping else float("inf"))):
                last_answer = time.monotonic()
            elif now - last_answer > task.stall_s and any(line.busy for line in self._lines):
                self._recorder.fatal = f"the service stalls: no answer to any of its streams for {task.stall_s:g} s"
                break
            if self._recorder.fatal:
                break
            if now >= next_progress:
                next_progress = now + PROGRESS_S
                self._control.send(self._recorder.progress(sum(line.open for line in self._lines)))
        for connection in self._connections:
            connection.close()
        return self._recorder.report(time.monotonic(), self._lines)

    def _gap(self) -> float:
        return self._random.expovariate(self._task.arrivals_per_s)

    def _begin(self, line: Line, begins: float) -> None:
        """Let a line take up a call."""
        script = self._random.choice(self._scripts)
        length = len(script.bodies)
        if self._task.mean_call_s:
            length = max(1, min(length, round(self._random.expovariate(1.0 / self._task.mean_call_s) / PERIOD_S)))
        line.begin(script, kserve.identity(secrets.randbits(62) + 1), begins, length)
        self._lines.add(line)
        self._schedule(line)

    def _schedule(self, line: Line) -> None:
        self._pushed += 1
        heappush(self._heap, (line.due, self._pushed, line))

    def _speak(self, line: Line, now: float, *, free: bool) -> None:
        """Send the line's next chunk, which is due."""
        if line.due >= self._stop_at:
            return
        if free:
            self._recorder.sent_when_free(line.due, now - line.due)
        self._sent += 1
        timing = bool(self._task.timing_every) and self._sent % self._task.timing_every == 0
        line.busy = True
        if line.index == 0:
            self._recorder.begun += 1
        self._connections[line.connection].call(line.request(self._options, timing=timing), line)

    def _hang_up(self) -> bool:
        """End every call that said all it had to say; whether any call is left."""
        for line in list(self._lines):
            if line.busy or line.due < self._stop_at:
                continue
            if line.open:
                line.busy = True
                self._connections[line.connection].call(line.hang_up(), line)
            else:
                self._lines.discard(line)
        return bool(self._lines)

    def _wait(self, now: float, until: float) -> bool:
        """Sleep until a line is due or something arrives; whether any answer came."""
        if self._heap:
            until = min(until, self._heap[0][0])
        readers: list[Http2Connection[Line] | Connection] = [*self._connections, self._control]
        writers = [connection for connection in self._connections if connection.wants_to_write]
        ready, _, _ = select.select(readers, writers, (), min(MAX_SLEEP_S, max(0.0, until - now)))
        answered = False
        for reader in ready:
            if isinstance(reader, Http2Connection):
                for answer in reader.receive():
                    answered = True
                    self._take(answer, time.monotonic())
                if reader.lost is not None:
                    self._recorder.fatal = f"the connection to the service broke: {reader.lost}"
            else:  # the parent says stop, or is gone
                self._stop_at = min(self._stop_at, now)
                self._recorder.cut(now)
                if reader.poll():
                    reader.recv()
        return answered

    def _take(self, answer: Answer[Line], now: float) -> None:
        """Record an answer and let its line go on."""
        line = answer.token
        line.busy = False
        if answer.status:
            self._recorder.failed(line, now, answer.status, answer.message)
            line.open = False
            if line.hanging_up:
                self._lines.discard(line)
            else:
                self._after_call(line, max(now, line.due) + RETRY_S)
            return
        line.open = not line.ending
        if line.hanging_up:
            self._recorder.ended(line, whole=False)
            self._lines.discard(line)
            return
        self._recorder.answered(line, now, answer.payload)
        if line.ending:
            self._recorder.ended(line, whole=line.length == len(line.script.bodies))
            self._after_call(line, line.due)
            return
        line.advance()
        if line.due <= now:
            self._speak(line, now, free=False)
        else:
            self._schedule(line)

    def _after_call(self, line: Line, next_begins: float) -> None:
        """A call is over: its line begins another, unless calls come and go by themselves or the run ends."""
        if self._task.arrivals_per_s or next_begins >= self._stop_at:
            self._lines.discard(line)
        else:
            self._begin(line, next_begins)


def main(control: Connection) -> None:
    """Entry point of a generator process: takes tasks from its parent until there are no more."""
    _go_first()
    try:
        while (task := control.recv()) is not None:
            if isinstance(task, Task):  # a word to stop that came after the end of a task means nothing
                control.send(_outcome(task, control))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return  # the parent is gone


def _go_first() -> None:
    """Let the instrument run before what it measures, as far as this user may: it takes little, but on time.

    Linux gives a process that wakes up its turn only after the running one's slice of some milliseconds, however nice;
    real-time scheduling does not wait. The kernel keeps a twentieth of each core from real-time processes.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def _outcome(task: Task, control: Connection) -> Report | BenchError:
    try:
        return Worker(task, control).run()
    except BenchError as error:
        return error
