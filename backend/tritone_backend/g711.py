"""G.711 companding tables: telephone bytes to linear 16-bit samples. Source: ITU-T G.711 (11/88), tables 1 and 2."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def _mulaw_table() -> NDArray[np.int16]:
    """Linear value of each mu-law byte; the 14-bit values of the standard are scaled to 16 bits."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4) & 7
    mantissa = (code & 15).astype(np.int32)
    magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> NDArray[np.int16]:
    """Linear value of each A-law byte; the 13-bit values of the standard are scaled to 16 bits."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = ((code >> 4) & 7).astype(np.int32)
    mantissa = (code & 15).astype(np.int32)
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


MULAW = _mulaw_table()
"""int16 [256]: ``MULAW[byte]`` is the sample."""

ALAW = _alaw_table()
"""int16 [256]: ``ALAW[byte]`` is the sample."""
