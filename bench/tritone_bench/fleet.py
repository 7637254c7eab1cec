"""Generator processes seen from their parent: start them, give each its share of a load, gather, stop them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import numpy as np

from tritone_bench import worker
from tritone_bench.calls import Call
from tritone_bench.errors import BenchError, ServiceError
from tritone_bench.kserve import ParameterValue
from tritone_bench.level import Level
from tritone_bench.task import Progress, Ready, Report, Task

STREAMS_PER_PROCESS = 1500
STREAMS_PER_CONNECTION = 32
"""What one HTTP/2 connection carries: callers come from many places, and a shared connection is read by one thread."""
SETUP_S = 0.1
START_TIMEOUT_S = 60.0
GRACE_S = 20.0


@dataclass(frozen=True)
class Load:
    """A load to put on a service.

    Attributes:
        streams: live streams.
        warm_s: seconds before measuring begins, the ramp included.
        measure_s: seconds measured.
        ramp_s: streams begin at random moments of so many seconds.
        arrivals_per_s: new calls per second as a Poisson process, with `streams` only at the beginning.
        mean_call_s: with arrivals, mean of the exponential call length.
        timing_every: one request in so many asks for the server's stage times; 0: none.
        threshold_s: latency above which chunks are counted in `Progress.over`.
        stall_s: without any answer for so long the service is given up.
        seed: of everything random.
    """

    streams: int
    warm_s: float
    measure_s: float
    ramp_s: float
    arrivals_per_s: float = 0.0
    mean_call_s: float = 0.0
    timing_every: int = 20
    threshold_s: float = 0.1
    stall_s: float = 10.0
    seed: int = 1


class Interrupted(BenchError):  # noqa: N818
    """Ctrl-C came; `report` and `level` hold what was measured until then, if anything."""

    def __init__(self, report: Report | None = None) -> None:
        super().__init__("interrupted; what was measured until then is kept", exit_status=130)
        self.report = report
        self.level: Level | None = None


class Fleet:
    """Generator processes that live as long as the measurement; each takes one task at a time."""

    def __init__(self, host: str, port: int, calls: list[Call], options: dict[str, ParameterValue]) -> None:
        self._target = (host, port)
        self._calls = calls
        self._options = options
        self._members: list[tuple[BaseProcess, Connection]] = []

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pids(self) -> list[int]:
        """Process ids of the generators."""
        return [process.pid for process, _ in self._members if process.pid is not None]

    def run(
        self,
        load: Load,
        processes: int = 0,
        on_progress: Callable[[Progress], bool] = lambda progress: False,
        on_window: Callable[[], None] = lambda: None,
    ) -> Report:
        """Put a load on the service and measure.

        Args:
            load: what to do.
            processes: generator processes; 0 chooses.
            on_progress: called several times a second with totals; the load ends early when it returns true.
            on_window: called once when measuring begins and once when it ends.

        Returns:
            Everything the generators saw.

        Raises:
            ServiceError: it is not there, or went away before anything was measured.
            Interrupted: Ctrl-C.
        """
        count = processes or default_processes(max(load.streams, 1))
        count = max(1, min(count, load.streams or 1))
        self._grow(count)
        shares = [len(part) for part in np.array_split(np.empty(load.streams), count)]
        for number, ((_, control), share) in enumerate(zip(self._members, shares, strict=False)):
            control.send(
                Task(
                    *self._target,
                    connections=max(1, -(-share // STREAMS_PER_CONNECTION)),
                    streams=share,
                    calls=self._calls,
                    options=self._options,
                    ramp_s=load.ramp_s,
                    warm_s=load.warm_s,
                    measure_s=load.measure_s,
                    timing_every=load.timing_every,
                    threshold_s=load.threshold_s,
                    stall_s=load.stall_s,
                    arrivals_per_s=load.arrivals_per_s / count,
                    mean_call_s=load.mean_call_s,
                    seed=load.seed * 1000 + number,
                )
            )
        return self._gather(count, load, on_progress, on_window)

    def close(self) -> None:
        """End the processes; none outlives this."""
        for process, control in self._members:
            with contextlib.suppress(OSError, ValueError):
                control.send(None)
            process.join(0.5)
            if process.is_alive():
                process.kill()
                process.join()
            control.close()
        self._members.clear()

    def _grow(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        while len(self._members) < count:
            ours, theirs = context.Pipe()
            process = context.Process(target=worker.main, args=(theirs,), name="load-generator", daemon=True)
            # Ctrl-C reaches the whole group; the children inherit that it is blocked, and we tell them what to do.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
            self._members.append((process, ours))

    def _gather(
        self,
        count: int,
        load: Load,
        on_progress: Callable[[Progress], bool],
        on_window: Callable[[], None],
    ) -> Report:
        pending = {control: number for number, (_, control) in enumerate(self._members[:count])}
        latest: dict[int, Progress] = {}
        reports: list[Report] = []
        edges: list[float] = []  # when the window opens and closes, once all processes are ready
        unready = count
        deadline = time.monotonic() + START_TIMEOUT_S
        problem: BenchError | None = None
        interrupted = stopped = False
        while pending:
            try:
                now = time.monotonic()
                while edges and now >= edges[0]:
                    edges.pop(0)
                    on_window()
                if now > deadline:
                    self._kill()
                    raise ServiceError("a load generator hangs; nothing was measured")
                until = min([*edges, deadline, now + 1.0])
                for control in wait(list(pending), max(0.0, until - now)):
                    assert isinstance(control, Connection)
                    message = self._receive(control)
                    if isinstance(message, Ready):
                        unready -= 1
                        if not unready:
                            start = time.monotonic() + SETUP_S
                            edges = [start + load.warm_s, start + load.warm_s + load.measure_s]
                            deadline = edges[1] + GRACE_S
                            for other in pending:
                                other.send(start)
                    elif isinstance(message, Progress):
                        latest[pending[control]] = message
                        if on_progress(_sum(latest.values())) and not stopped:
                            stopped = True
                            self._stop(pending)
                    elif isinstance(message, Report):
                        del pending[control]
                        reports.append(message)
                        if message.fatal and not problem:  # one that gave up speaks for all: the service is gone
                            self._stop(pending)
                    elif isinstance(message, BenchError):
                        del pending[control]
                        problem = message
                        self._stop(pending)
            except KeyboardInterrupt:  # noqa: PERF203
                interrupted = True
                deadline = time.monotonic() + GRACE_S / 2
                edges = []
                self._stop(pending)
        merged = merge(reports) if reports else None
        if interrupted:
            raise Interrupted(merged)
        if problem is not None and (merged is None or not len(merged.due_s)):
            raise problem
        assert merged is not None
        return merged

    def _receive(self, control: Connection) -> object:
        try:
            message: object = control.recv()
        except (EOFError, OSError):
            self._kill()
            raise ServiceError("a load generator died; see whether the machine ran out of memory") from None
        return message

    def _stop(self, controls: dict[Connection, int]) -> None:
        for control in controls:
            with contextlib.suppress(OSError):
                control.send("stop")

    def _kill(self) -> None:
        for process, control in self._members:
            process.kill()
            process.join()
            control.close()
        self._members.clear()


def default_processes(streams: int) -> int:
    """Generator processes for so many streams: few streams per process keep its lag low, but cores are scarce."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(max(1, cores // 2), -(-streams // STREAMS_PER_PROCESS)))


def merge(reports: list[Report]) -> Report:
    """The reports of several generator processes as one."""
    width = max(report.timing_us.shape[1] for report in reports)
    errors: dict[str, int] = {}
    for report in reports:
        for message, times in report.errors.items():
            errors[message] = errors.get(message, 0) + times
    return Report(
        due_s=np.concatenate([report.due_s for report in reports]),
        latency_s=np.concatenate([report.latency_s for report in reports]),
        outcome=np.concatenate([report.outcome for report in reports]),
        lag_s=np.concatenate([report.lag_s for report in reports]),
        timing_us=np.concatenate([r.timing_us for r in reports if r.timing_us.shape[1] == width]),
        begun=sum(report.begun for report in reports),
        finished=sum(report.finished for report in reports),
        checked=sum(report.checked for report in reports),
        wrong=sum(report.wrong for report in reports),
        differing=sum(report.differing for report in reports),
        mistakes=[mistake for report in reports for mistake in report.mistakes][:5],
        errors=errors,
        fatal=next((report.fatal for report in reports if report.fatal), None),
        cpu_s=sum(report.cpu_s for report in reports),
        most_live=sum(report.most_live for report in reports),
    )


def _sum(rows: Iterable[Progress]) -> Progress:
    return Progress(*map(sum, zip(*map(astuple, rows), strict=True)))
