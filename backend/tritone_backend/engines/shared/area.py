"""The memory that one model process shares with the engine process: a batch on its way in, log-probs on their way out.

One side owns it at a time: the model process until it has rung, the engine process until it has rung back.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_backend.spec import AcousticSpec

RING, DONE, FAILED = b"r", b"d", b"f"
"""Messages of one byte over the socket; a failure is followed by its reason."""
_ALIGNMENT = 64


class Area:
    """Arrays in shared memory.

    Attributes:
        size: int32 [1], rows in use.
        slots: int32 [batch].
        fresh: bool [batch].
        signal: int16 [batch, chunk_samples].
        logprobs: float32 [batch, frames, classes].
    """

    def __init__(self, descriptor: int, spec: AcousticSpec, batch: int) -> None:
        """Map a file of `area_bytes`."""
        self._memory = mmap.mmap(descriptor, area_bytes(spec, batch))
        self._used = 0
        self.size: NDArray[np.int32] = self._take((1,), np.int32)
        self.slots: NDArray[np.int32] = self._take((batch,), np.int32)
        self.fresh: NDArray[np.bool_] = self._take((batch,), np.bool_)
        self.signal: NDArray[np.int16] = self._take((batch, spec.chunk_samples), np.int16)
        frames, classes = spec.frames_per_chunk, spec.classes
        self.logprobs: NDArray[np.float32] = self._take((batch, frames, classes), np.float32)

    def _take(self, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
        array: NDArray[Any] = np.ndarray(shape, kind, self._memory, self._used)
        self._used += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        return array


def area_bytes(spec: AcousticSpec, batch: int) -> int:
    """Bytes of an area, rounding included."""
    row = 4 + 1 + 2 * spec.chunk_samples + 4 * spec.frames_per_chunk * spec.classes
    return batch * row + 6 * _ALIGNMENT
