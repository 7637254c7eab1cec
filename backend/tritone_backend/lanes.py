"""Batches under way: each on a lane of the engine, all lanes at once. Knows no requests, no text and no answers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from time import perf_counter
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from tritone_backend.engines import EngineTiming, Lane
from tritone_backend.profiling.spans import span
from tritone_backend.streams import PayloadT, ResultT, Stream


@dataclass
class Step(Generic[PayloadT, ResultT]):
    """One batch on its way through the network.

    Attributes:
        batch: its streams, one a row.
        waiting: streams that were ready and are not in it.
        stepped: who wants to know that it is over.
        begun: perf_counter when its chunks were taken.
        started, ended: perf_counter when the lane took it up and was done with it.
        timing: what the lane says of that time.
        logprobs: float32 [B, frames_per_chunk, classes].
        error: why there are none.
    """

    batch: list[Stream[PayloadT, ResultT]]
    waiting: int
    stepped: list[Callable[[], None]]
    begun: float
    started: float = 0.0
    ended: float = 0.0
    timing: EngineTiming = field(default=EngineTiming(0.0, 0.0, 0.0))
    logprobs: NDArray[np.float32] | None = None
    error: Exception | None = None

    def stages(self, taken: float) -> tuple[float, float, float]:
        """Microseconds of copying in, the network and copying out, the ways to the lane's thread and back included.

        Args:
            taken: perf_counter when its log-probs were taken up.
        """
        copied_in, network, copied_out = self.timing
        to, back = self.started - self.begun, taken - self.ended
        return copied_in + to * 1e6, network, copied_out + back * 1e6


class Lanes(Generic[PayloadT, ResultT]):
    """Runs steps: an engine's only lane on the caller's thread, several lanes on a thread each.

    Lanes do not wait for each other, so that no core is idle while there is a chunk for it.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        most: int,
        chunk_samples: int,
        probe_slot: int,
        done: Callable[[Step[PayloadT, ResultT]], None],
    ) -> None:
        """Begin with all lanes idle.

        Args:
            lanes: of one engine.
            most: streams in one step.
            chunk_samples: samples of a chunk.
            probe_slot: the first of as many slots as there are lanes: probes share one, and have another in each lane.
            done: takes every step when it is over, on whatever thread ran it.
        """
        self._lanes = lanes
        self._signals = [np.zeros((most, chunk_samples), np.int16) for _ in lanes]
        self._probe_slot = probe_slot
        self._done = done
        self._idle = deque(range(len(lanes)))  # taken from by one thread, given back by others
        self._work: list[SimpleQueue[tuple[Step[PayloadT, ResultT], NDArray[Any], NDArray[Any]] | None]] = []
        self._threads: list[threading.Thread] = []
        if self.beside:
            self._work = [SimpleQueue() for _ in lanes]
            self._threads = [
                threading.Thread(target=self._run_all, args=(number,), name=f"lane-{number}", daemon=True)
                for number in range(len(lanes))
            ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def idle(self) -> int:
        """Lanes that could take a step now."""
        return len(self._idle)

    @property
    def beside(self) -> bool:
        """Whether steps run beside the caller, who may then start another one."""
        return len(self._lanes) > 1

    def start(self, step: Step[PayloadT, ResultT]) -> None:
        """Take the next chunk of each stream of a step and run it on an idle lane; one thread calls this."""
        number = self._idle.popleft()
        signal = self._signals[number][: len(step.batch)]
        for row, stream in enumerate(step.batch):
            signal[row] = stream.session.take_chunk()
        slots = np.array([stream.slot for stream in step.batch], np.int32)
        slots[slots == self._probe_slot] += number
        fresh = np.array([stream.fresh for stream in step.batch], np.bool_)
        if self.beside:
            self._work[number].put((step, slots, fresh))
        else:
            self._run(number, step, slots, fresh)

    def stop(self) -> None:
        """End the threads after what they have in work."""
        for work in self._work:
            work.put(None)
        for thread in self._threads:
            thread.join()

    def _run_all(self, number: int) -> None:
        while (work := self._work[number].get()) is not None:
            self._run(number, *work)

    def _run(
        self, number: int, step: Step[PayloadT, ResultT], slots: NDArray[np.int32], fresh: NDArray[np.bool_]
    ) -> None:
        lane = self._lanes[number]
        step.started = perf_counter()
        try:
            with span("step"):
                logprobs = lane.step(self._signals[number][: len(slots)], slots, fresh)
            step.logprobs = logprobs.copy() if self.beside else logprobs  # the lane may be at its next step when read
            step.timing = lane.timing
        except Exception as error:  # its streams' state is lost, and only theirs: whoever takes the step sees to it
            step.error = error
        step.ended = perf_counter()
        self._idle.append(number)
        self._done(step)
