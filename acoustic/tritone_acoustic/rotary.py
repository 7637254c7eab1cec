"""Rotary positions as constant tables (Su et al., 2021, half-split pairs), for graphs that hold no such operator.

The PyTorch network keeps its own tables in blocks.SelfAttention, as buffers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.config import AcousticConfig


def rotary_tables(
    config: AcousticConfig, start: int, stop: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return what turns a head by its position: `x * cosine + (x @ turn) * sine`.

    Args:
        config: sizes of the network.
        start: position of the first frame.
        stop: position after the last one.

    Returns:
        cosine and sine, float32 [stop - start, 1, head_dim], and turn, float32 [head_dim, head_dim], a signed
        permutation.
    """
    half, rotary = config.rotary // 2, config.rotary
    rate = 10000.0 ** (-np.arange(half, dtype=np.float32) * 2 / rotary)
    angle = np.arange(start, stop, dtype=np.float32)[:, None] * rate.astype(np.float32)
    cosine = np.ones((stop - start, 1, config.head_dim), dtype=np.float32)
    sine = np.zeros_like(cosine)
    cosine[:, 0, :rotary] = np.tile(np.cos(angle), 2)
    sine[:, 0, :rotary] = np.tile(np.sin(angle), 2)
    turn = np.zeros((config.head_dim, config.head_dim), dtype=np.float32)
    for i in range(half):
        turn[i + half, i], turn[i, i + half] = -1.0, 1.0
    return cosine, sine, turn
