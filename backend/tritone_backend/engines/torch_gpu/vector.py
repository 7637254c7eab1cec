"""The stream pool for a network that takes and gives each stream's whole state as one vector, as the public graph does.

Rings (pool.py) need kernels that index state by slot. A foreign network reads dense tensors, so here a batch's vectors
are gathered by slot before it and scattered after it; staging, graphs and the ladder are runner.py's, as for the rings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from tritone_backend.engines.torch_gpu.pool import META
from tritone_backend.spec import AcousticSpec

SPARE = 2
"""Slots beside those of streams: one that padded rows write to, and one that stays zero for new streams to read."""


class DenseNetwork(Protocol):
    """Anything that runs one chunk of a batch from and to the tensors of a ``DenseWork``."""

    def enqueue(self, batch: int) -> None:
        """Read the first ``batch`` rows of signal and state, write those of logprobs and state_next."""


@dataclass(frozen=True)
class DenseWork:
    """Memory of one batch, contiguous, with the names and types of the public graph's inputs and outputs.

    Attributes:
        inbox: int16 [batch, META + chunk_samples], as it came from the host.
        inbox_words: the same as int32.
        signal: int32 [batch, chunk_samples, 1].
        state: float16 [batch, state_size].
        logprobs: float32 [batch, frames, classes].
        state_next: float16 [batch, state_size].
    """

    inbox: Tensor
    inbox_words: Tensor
    signal: Tensor
    state: Tensor
    logprobs: Tensor
    state_next: Tensor

    @classmethod
    def create(cls, spec: AcousticSpec, batch: int, device: Any) -> DenseWork:
        """Allocate, all zero."""

        def zeros(*shape: int, kind: torch.dtype) -> Tensor:
            return torch.zeros(batch, *shape, dtype=kind, device=device)

        inbox = zeros(META + spec.chunk_samples, kind=torch.int16)
        return cls(
            inbox=inbox,
            inbox_words=inbox.view(torch.int32),
            signal=zeros(spec.chunk_samples, 1, kind=torch.int32),
            state=zeros(spec.state_size, kind=torch.float16),
            logprobs=zeros(spec.frames_per_chunk, spec.classes, kind=torch.float32),
            state_next=zeros(spec.state_size, kind=torch.float16),
        )

    @staticmethod
    def row_bytes(spec: AcousticSpec) -> int:
        """Return the bytes of one row of a batch."""
        samples, output = spec.chunk_samples, spec.frames_per_chunk * spec.classes
        return 2 * (META + samples) + 4 * samples + 2 * 2 * spec.state_size + 4 * output


class VectorStep:
    """One step over a pool of state vectors; takes the place of network.StepNetwork in a Runner.

    Args:
        spec: sizes.
        slots: streams that the pool holds.
        work: memory of one batch.
        network: what lies between gather and scatter.
    """

    def __init__(self, spec: AcousticSpec, slots: int, work: DenseWork, network: DenseNetwork) -> None:
        device = work.state.device
        self.work, self._network = work, network
        self.pool = torch.zeros(slots + SPARE, spec.state_size, dtype=torch.float16, device=device)
        self._zero = slots + 1
        rows = len(work.state)
        self._from = torch.zeros(rows, dtype=torch.int64, device=device)
        self._to = torch.zeros(rows, dtype=torch.int64, device=device)

    def step(self, batch: int) -> None:
        """Advance the first ``batch`` rows of the inbox by one chunk."""
        work, source, target = self.work, self._from[:batch], self._to[:batch]
        target.copy_(work.inbox_words[:batch, 0])
        source.copy_(target)
        # A new stream reads the zero slot: cheaper than clearing its own, and nothing of its last user remains.
        source.masked_fill_(work.inbox_words[:batch, 1] != 0, self._zero)
        work.signal[:batch, :, 0].copy_(work.inbox[:batch, META:])
        torch.index_select(self.pool, 0, source, out=work.state[:batch])
        self._network.enqueue(batch)
        self.pool.index_copy_(0, target, work.state_next[:batch])

    @staticmethod
    def slot_bytes(spec: AcousticSpec) -> int:
        """Return the bytes of one slot."""
        return 2 * spec.state_size
