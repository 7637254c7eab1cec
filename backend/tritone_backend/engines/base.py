"""The contract of an acoustic engine. Implementations are beside this file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tritone_backend.spec import AcousticSpec


class EngineTiming(NamedTuple):
    """Microseconds that the last step spent outside and inside the network."""

    copy_in: float
    network: float
    copy_out: float


class Lane(Protocol):
    """What advances streams through the network. One thread at a time calls it.

    The result for a stream does not depend on its neighbours in the batch.
    """

    timing: EngineTiming

    def step(
        self,
        signal: NDArray[np.int16] | NDArray[np.int32],
        slots: NDArray[np.int32],
        fresh: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """Advance a batch of streams by one chunk each.

        Args:
            signal: int16 or int32 [B, chunk_samples], values within 16 bits.
            slots: int32 [B], distinct, below the number allocated.
            fresh: bool [B], True where the stream starts from zero state.

        Returns:
            float32 [B, frames_per_chunk, classes], natural-log probabilities. Valid until the next step.

        Raises:
            EngineError: the step failed; the state of its streams is lost.
        """


class Engine(Lane, Protocol):
    """Runs batches of chunks through the network; the recurrent state never leaves it.

    Its own ``step`` puts all it has into one batch. Its lanes may instead step at the same time, each on a thread of
    its own, with different streams; never beside the engine's own ``step``.
    """

    spec: AcousticSpec
    name: str

    @property
    def lanes(self) -> Sequence[Lane]:
        """What can step at the same time, as many as ever: the engine itself where that is one."""

    def allocate(self, slots: int) -> None:
        """Make room for the state of ``slots`` streams.

        Raises:
            EngineError: there is not that much memory; the message says how many slots would fit.
        """
