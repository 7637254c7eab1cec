"""What one generator process is told to do and what it reports. Records only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from tritone_bench.calls import Call
from tritone_bench.kserve import ParameterValue


class Outcome(IntEnum):
    """What became of one chunk."""

    ANSWERED = 0
    FAILED = 1  # an error came back
    REFUSED = 2  # the service took no new stream
    MISSING = 3  # no answer until the end, or until the service was given up
    UNSENT = 4  # its stream was still waiting for earlier answers when the run ended


@dataclass
class Task:
    """One generator process's share of a load.

    Attributes:
        host, port: the service.
        connections: HTTP/2 connections to spread streams over.
        streams: live streams to hold; with `arrivals_per_s`, only the first ones.
        calls: what streams say.
        options: stream options of every START request.
        ramp_s: streams begin at random moments of so many seconds.
        warm_s: seconds from the start until chunks count.
        measure_s: seconds for which they count.
        drain_s: how long to wait for answers after that.
        stall_s: without any answer for so long the service is given up.
        timing_every: one request in so many asks for the server's stage times; 0: none.
        threshold_s: latency above which chunks are counted in `Progress.over`.
        arrivals_per_s: new calls per second as a Poisson process; 0: every stream that ends begins anew.
        mean_call_s: with arrivals, mean of the exponential call length; 0: calls to their end.
        seed: of everything random.
    """

    host: str
    port: int
    connections: int
    streams: int
    calls: list[Call]
    options: dict[str, ParameterValue]
    ramp_s: float
    warm_s: float
    measure_s: float
    drain_s: float = 5.0
    stall_s: float = 10.0
    timing_every: int = 20
    threshold_s: float = 0.1
    arrivals_per_s: float = 0.0
    mean_call_s: float = 0.0
    seed: int = 1


@dataclass
class Mistake:
    """A call whose words under load differ from those it gets alone."""

    call: str
    expected: str
    got: str


@dataclass
class Report:
    """What one generator process saw in the measured window, unless said otherwise.

    Attributes:
        due_s: float64 [chunks], when each chunk was due, seconds after the window opened.
        latency_s: float32 [chunks], from due to answered; up to the end of the run where no answer came.
        outcome: uint8 [chunks], `Outcome`.
        lag_s: float32 [sends], sent minus due where the stream was free to send.
        timing_us: float32 [samples, 1 + stages], the chunk's latency in microseconds, then the server's stages.
        begun, finished: calls of the whole run.
        checked: calls whose words were compared, whole or as far as they went.
        mistakes: the first calls with wrong words; `wrong` counts all.
        differing: calls with the same words whose events differed in time, confidence or partials.
        errors: message of each kind of error and how often it came, over the whole run.
        fatal: why the run was broken off, if it was.
        cpu_s: processor time of this process in the window.
        most_live: most streams live at once.
    """

    due_s: NDArray[np.float64]
    latency_s: NDArray[np.float32]
    outcome: NDArray[np.uint8]
    lag_s: NDArray[np.float32]
    timing_us: NDArray[np.float32]
    begun: int = 0
    finished: int = 0
    checked: int = 0
    wrong: int = 0
    differing: int = 0
    mistakes: list[Mistake] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    fatal: str | None = None
    cpu_s: float = 0.0
    most_live: int = 0


@dataclass(frozen=True)
class Ready:
    """A generator process is connected; it waits for a ``time.monotonic()`` to start at, the same for all."""


@dataclass(frozen=True)
class Progress:
    """What a generator process says several times a second.

    Attributes:
        answered, late, lost: chunks of the window: answered, answered later than a chunk lasts, never answered.
        over: chunks of the window answered later than the threshold, or never.
        refused: streams turned away in the whole run.
        live: streams alive now.
    """

    answered: int = 0
    late: int = 0
    lost: int = 0
    over: int = 0
    refused: int = 0
    live: int = 0
