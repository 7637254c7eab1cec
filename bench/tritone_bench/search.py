"""Finds the most live streams that a service carries: doubling, bisection, confirmation. Prints nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tritone_bench.calls import PERIOD_S
from tritone_bench.errors import BenchError, LateGeneratorError, ServiceError, WrongWordsError
from tritone_bench.fleet import Fleet, Interrupted, Load
from tritone_bench.level import Level, Usage, summarise
from tritone_bench.service import Service
from tritone_bench.task import Progress, Report
from tritone_bench.usage import UsageMeter, in_haste, total_cores

SETTLE_TIMEOUT_S = 30.0
RECOVERY_S = 4.5
MAX_CONFIRMATIONS = 4
STARTS_PER_S = 2500.0
COUNTERS_S = 1.0
"""The service's counters are at most so old."""
DISTURBED = 0.15
"""Share of the cores taken by other programs above which a failure is tried once more."""


@dataclass(frozen=True)
class Effort:
    """How thoroughly to measure.

    Attributes:
        ramp_s: streams begin within so many seconds.
        warm_s: seconds until measuring begins, the ramp included.
        measure_s: seconds per step of the search.
        confirm_s: seconds of the run that confirms the answer.
        tolerance: the search ends when its bounds are this close, relative to the lower one.
    """

    ramp_s: float
    warm_s: float
    measure_s: float
    confirm_s: float
    tolerance: float


FULL = Effort(ramp_s=3.0, warm_s=5.0, measure_s=15.0, confirm_s=60.0, tolerance=0.04)
QUICK = Effort(ramp_s=1.5, warm_s=2.5, measure_s=6.0, confirm_s=15.0, tolerance=0.08)


@dataclass
class Outcome:
    """What a search found.

    Attributes:
        levels: every load that was measured, in order.
        confirmed: the level that was confirmed by a longer run, None when even one stream is too much.
        report: raw data of the confirming run.
        idle_mib: memory of the service before any load.
    """

    levels: list[Level] = field(default_factory=list)
    confirmed: Level | None = None
    report: Report | None = None
    idle_mib: float | None = None

    @property
    def first_failure(self) -> Level | None:
        """The smallest load that was too much."""
        return min((level for level in self.levels if level.failed), key=lambda level: level.streams, default=None)


class Bench:
    """Measures single loads on a service; searches are built from it.

    Args:
        service: what to measure.
        load_generators: processes that make the load.
        threshold_ms: p99 above which a load is too much.
        processes: generator processes; 0 chooses.
        on_progress: told about a running load: streams, seconds since its begin, totals.
    """

    def __init__(
        self,
        service: Service,
        load_generators: Fleet,
        threshold_ms: float,
        processes: int = 0,
        on_progress: Callable[[int, float, Progress], None] = lambda streams, seconds, progress: None,
    ) -> None:
        self._service = service
        self._fleet = load_generators
        self._threshold_ms = threshold_ms
        self._processes = processes
        self._on_progress = on_progress
        self._seed = 0
        self._overloaded = False

    def measure(self, load: Load, *, give_up: bool = True) -> tuple[Level, Report]:
        """Put a load on the service and say what came of it.

        Args:
            load: what to do; its seed is replaced, so that no two loads are alike.
            give_up: end the load early when it is certain to be too much.

        Raises:
            Interrupted: Ctrl-C; its `level` is set when there is something to keep.
            ServiceError: the service went away.
        """
        self.settle()
        self._seed += 1
        fields = {**vars(load), "seed": self._seed, "threshold_s": self._threshold_ms / 1e3}
        planned = load.streams * load.measure_s / PERIOD_S
        begun = time.monotonic()
        cut = False

        def watch(progress: Progress) -> bool:
            nonlocal cut
            self._on_progress(load.streams, time.monotonic() - begun, progress)
            # More than one in a hundred of all that is planned is over: p99 cannot come back below the threshold.
            cut = cut or (give_up and (progress.refused > 0 or progress.over > 0.01 * planned + 1))
            return cut

        with UsageMeter(self._service.root, self._service.metrics_url) as meter:
            degraded = in_haste(meter.counters())
            try:
                report = self._fleet.run(Load(**fields), self._processes, watch, meter.mark)
            except Interrupted as interruption:
                meter.mark()
                if interruption.report is not None and len(interruption.report.due_s):
                    interruption.level = self._summary(interruption.report, load, meter)
                    interruption.level.cut = True
                raise
            meter.mark()
        level = self._summary(report, load, meter)
        level.cut = cut
        if level.wrong and not level.fatal:
            time.sleep(COUNTERS_S)
            level.usage.degraded = round(in_haste(meter.counters()) - degraded)
            if level.hurried:
                level.failed = f"{level.wrong} of {level.checked} calls came back with greedy words for want of time"
        self._overloaded = bool(level.failed)
        return level, report

    def settle(self) -> None:
        """Wait until the service has forgotten the loads before: overload leaves streams behind, and a memory of it."""
        meter = UsageMeter(None, self._service.metrics_url)
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while time.monotonic() < deadline and meter.counters().get("tritone_streams_live", 0.0) > 0:
            time.sleep(0.5)
        if self._overloaded:  # a service that was late refuses new streams for some seconds more
            time.sleep(RECOVERY_S)
            self._overloaded = False

    def _summary(self, report: Report, load: Load, meter: UsageMeter) -> Level:
        level = summarise(report, load.streams, self._threshold_ms, self._service.stage_names)
        level.usage = Usage(**meter.result(report.cpu_s / max(level.seconds, 1e-9)))
        return level


def find_capacity(
    bench: Bench,
    effort: Effort,
    first_guess: int,
    max_streams: int,
    max_lag_ms: float,
    on_level: Callable[[str, Level], None],
    outcome: Outcome,
) -> None:
    """Double, bisect, confirm.

    Args:
        bench: measures single loads.
        effort: how thoroughly.
        first_guess: streams to begin with.
        max_streams: never more than these.
        max_lag_ms: the generator's own p99 lag above which nothing is believed.
        on_level: told about every measured level, with the step's name.
        outcome: filled as results come, so that what is there can be kept whatever happens.

    Raises:
        WrongWordsError: calls came back with other words than alone.
        LateGeneratorError: the generator cannot keep its schedule at the load to confirm.
        ServiceError: the service went away.
        Interrupted: Ctrl-C.
    """

    def attempt(step: str, streams: int, seconds: float) -> Level:
        level = once(step, streams, seconds)
        if level.failed and (level.usage.other_cores or 0.0) > DISTURBED * total_cores():
            level = once("again", streams, seconds)  # other programs were at work; maybe they are done
        return level

    def once(step: str, streams: int, seconds: float) -> Level:
        more = max(0.0, streams / STARTS_PER_S - effort.ramp_s)  # calls begin one after the other in life, too
        load = Load(streams, effort.warm_s + more, seconds, effort.ramp_s + more)
        try:
            level, report = bench.measure(load)
        except Interrupted as interruption:
            if interruption.level is not None:
                outcome.levels.append(interruption.level)
            raise
        outcome.levels.append(level)
        on_level(step, level)
        if seconds == effort.confirm_s:
            outcome.report = report
        if level.wrong and not level.hurried:
            raise WrongWordsError(_wrong(level))
        if level.fatal:
            raise ServiceError(f"at {streams} streams: {level.fatal}")
        return level

    low, high = 0, 0
    streams = max(1, min(first_guess, max_streams))
    while not high:
        if attempt("search", streams, effort.measure_s).failed:
            high = streams
        elif streams >= max_streams:
            low = streams
            break
        else:
            low, streams = streams, min(2 * streams, max_streams)
    while not low and high > 1:
        streams = high // 2
        if attempt("search", streams, effort.measure_s).failed:
            high = streams
        else:
            low = streams
    while high - low > max(1.0, effort.tolerance * low):
        streams = (low + high) // 2
        if attempt("search", streams, effort.measure_s).failed:
            high = streams
        else:
            low = streams
    for _ in range(MAX_CONFIRMATIONS):
        if low < 1:
            return
        level = attempt("confirm", low, effort.confirm_s)
        if level.lag_p99_ms > max_lag_ms:
            raise LateGeneratorError(late_message(level, max_lag_ms))
        if not level.failed:
            outcome.confirmed = level
            return
        low = min(low - 1, int(low * (1.0 - max(effort.tolerance, 0.05))))
    raise BenchError(
        f"no load could be confirmed: {level.streams} streams and more passed for {effort.measure_s:g} s and failed "
        f"for {effort.confirm_s:g} s ({level.failed}); is the machine busy with something else?"
    )


def late_message(level: Level, max_lag_ms: float) -> str:
    """Why a late generator's numbers are refused."""
    return (
        f"the load generator was late itself (p99 {level.lag_p99_ms:.1f} ms at {level.streams} streams, limit "
        f"{max_lag_ms:g} ms), so these latencies are not the service's: give it cores of its own with --processes, "
        f"run it on another machine, or raise --max-lag"
    )


def _wrong(level: Level) -> str:
    example = ""
    if level.mistakes:
        call, expected, got = level.mistakes[0]
        example = f"; in {call}: expected '{_short(expected)}', got '{_short(got)}'"
    return f"{level.failed} at {level.streams} streams, so their speed counts as nothing{example}"


def _short(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
