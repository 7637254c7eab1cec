"""Runs the step at a ladder of batch sizes: CUDA graphs with their copies on a GPU, direct calls on a CPU.

Two pinned staging areas alternate, so that the host fills one while the device works on the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tritone_backend.engines.torch_gpu.pool import META

SIDES = 2


class Stepper(Protocol):
    """What a runner runs: a network over a pool, with ``inbox`` and ``logprobs`` among its working memory."""

    @property
    def work(self) -> Any:
        """Return the memory of one batch."""

    def step(self, batch: int) -> None:
        """Advance the first ``batch`` rows of the inbox by one chunk."""


class Staging:
    """Host memory of one batch on its way in and out; rows that no stream uses point to the scratch slot."""

    def __init__(self, batch: int, network: Stepper, scratch: int, *, pinned: bool) -> None:
        work = network.work
        self.inbox = torch.zeros(batch, work.inbox.shape[1], dtype=torch.int16, pin_memory=pinned)
        self.outbox = torch.zeros(batch, *work.logprobs.shape[1:], dtype=torch.float32, pin_memory=pinned)
        words = self.inbox.view(torch.int32).numpy()
        self._slots, self._fresh = words[:, 0], words[:, 1]
        self._signal: NDArray[np.int16] = self.inbox.numpy()[:, META:]
        self.logprobs: NDArray[np.float32] = self.outbox.numpy()
        self._scratch = scratch
        self._slots[:], self._fresh[:] = scratch, 1
        self.used = 0

    def fill(self, signal: NDArray[Any], slots: NDArray[Any], fresh: NDArray[Any]) -> int:
        """Put a batch in and return its size."""
        size = len(slots)
        self._signal[:size] = signal.reshape(size, -1)
        self._slots[:size] = slots
        self._fresh[:size] = fresh
        if self.used > size:  # what the last batch left behind must not reach its streams again
            self._slots[size : self.used] = self._scratch
            self._fresh[size : self.used] = 1
        self.used = size
        return size


class Runner:
    """Steps a batch of any size up to the top of the ladder, by the next larger size of the ladder.

    Args:
        network: the step over its pool and workspace.
        scratch: slot of the padded rows.
        ladder: rising batch sizes.
        device: ``cuda`` captures graphs; anything else calls the step directly, without padding.
        progress: told one line per batch size.
        spin: wait for the GPU on a busy core, which is some 30 us quicker; else the core is free meanwhile.
    """

    def __init__(
        self,
        network: Stepper,
        scratch: int,
        ladder: Sequence[int],
        device: torch.device,
        progress: Callable[[str], None],
        *,
        spin: bool = True,
    ) -> None:
        self._network, self._ladder = network, tuple(ladder)
        self._cuda = device.type == "cuda"
        self._side = 0
        self.staging = [Staging(ladder[-1], network, scratch, pinned=self._cuda) for _ in range(SIDES)]
        self._graphs: dict[tuple[int, int], Any] = {}
        if self._cuda:
            self._stream = torch.cuda.Stream(device)
            self.events = [torch.cuda.Event(blocking=not spin) for _ in range(SIDES)]
            self._capture(progress)

    @property
    def capacity(self) -> int:
        """Largest batch of one step."""
        return self._ladder[-1]

    def submit(self, signal: NDArray[Any], slots: NDArray[Any], fresh: NDArray[Any]) -> tuple[int, int]:
        """Start a step and return its ticket for ``collect``; at most two steps may be under way."""
        side = self._side
        self._side = (side + 1) % SIDES
        staging = self.staging[side]
        size = staging.fill(signal, slots, fresh)
        self.launch(size, side)
        return side, size

    def launch(self, size: int, side: int) -> None:
        """Run what lies in a staging area."""
        if not self._cuda:
            self._transfer_and_step(size, side)
            return
        rung = next(rung for rung in self._ladder if rung >= size)
        with torch.cuda.stream(self._stream):
            self._graphs[rung, side].replay()
            self.events[side].record(self._stream)

    def collect(self, ticket: tuple[int, int]) -> NDArray[np.float32]:
        """Wait for a step; the result is valid until the staging area is used again, two steps later."""
        side, size = ticket
        if self._cuda:
            self.events[side].synchronize()
        return self.staging[side].logprobs[:size]

    def _transfer_and_step(self, size: int, side: int) -> None:
        work, staging = self._network.work, self.staging[side]
        work.inbox[:size].copy_(staging.inbox[:size], non_blocking=True)
        self._network.step(size)
        staging.outbox[:size].copy_(work.logprobs[:size], non_blocking=True)

    def _capture(self, progress: Callable[[str], None]) -> None:
        """Record a graph per batch size and side; graphs share one memory pool since one runs at a time."""
        memory = None
        for index, size in enumerate(reversed(self._ladder), 1):
            progress(f"batch size {size}: compiling and capturing ({index} of {len(self._ladder)})")
            with torch.cuda.stream(self._stream):
                self._transfer_and_step(size, 0)  # compiles kernels and sets up libraries outside the capture
            self._stream.synchronize()
            for side in range(SIDES):
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=memory, stream=self._stream):
                    self._transfer_and_step(size, side)
                memory = memory or graph.pool()
                self._graphs[size, side] = graph
        self._stream.synchronize()
