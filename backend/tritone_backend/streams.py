"""What the loop knows of requests and live streams. Records only; the life of a stream is in loop.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tritone_backend.access.caller import Caller
from tritone_backend.errors import StreamError
from tritone_backend.profiling.stagetimes import StageTimes, new_stage_times

PayloadT = TypeVar("PayloadT")
ResultT = TypeVar("ResultT")
PayloadT_contra = TypeVar("PayloadT_contra", contravariant=True)
ResultT_co = TypeVar("ResultT_co", covariant=True)


class Later(ABC, Generic[ResultT_co]):
    """A result that is not all known yet."""

    @abstractmethod
    def then(self, deliver: Callable[[ResultT_co], None]) -> None:
        """Call ``deliver`` once with the result: at once on this thread, or later on another."""


class Session(Protocol[PayloadT_contra, ResultT_co]):
    """One stream's work outside the network."""

    @property
    def pending_chunks(self) -> int:
        """Chunks that wait for the network."""

    @property
    def resampling_us(self) -> float:
        """Microseconds that resampling took since the last ``feed`` began; NaN without any."""

    def feed(self, payload: PayloadT_contra) -> None:
        """Take what a request brought. Raises StreamError and changes nothing when it is bad."""

    def finish_audio(self) -> None:
        """No more payload follows."""

    def take_chunk(self) -> NDArray[np.int16]:
        """Next chunk for the network, int16 [chunk_samples]."""

    def close(self) -> None:
        """Everything went through the network."""

    def take_result(self) -> ResultT_co | Later[ResultT_co]:
        """What the request that is now complete is answered with."""


@dataclass
class Request(Generic[PayloadT, ResultT]):
    """One request of one stream.

    Attributes:
        stream_id: Triton's correlation id.
        start, end: Triton's sequence flags.
        payload: audio.
        parameters: options; read when ``start``.
        reply: called exactly once, from any thread, with the result or the error, and the stage times.
        arrived: ``time.perf_counter()`` when the model got it.
        caller: whose key it came with; None when the service has no keys.
    """

    stream_id: int
    start: bool
    end: bool
    payload: PayloadT
    parameters: Mapping[str, Any]
    reply: Callable[[ResultT | StreamError, StageTimes], None]
    arrived: float
    caller: Caller | None = None


@dataclass
class Stream(Generic[PayloadT, ResultT]):
    """A live stream and its request in work, if any."""

    stream_id: int
    session: Session[PayloadT, ResultT]
    last_seen: float
    opened: float = 0.0
    caller: Caller | None = None
    slot: int = -1
    fresh: bool = True
    request: Request[PayloadT, ResultT] | None = None
    asked_at: float | None = None  # when the request in work arrived, until its first chunk is answered
    ready_since: float = 0.0
    stages: StageTimes = field(default_factory=new_stage_times)
