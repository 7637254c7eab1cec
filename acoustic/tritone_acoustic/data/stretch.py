"""Changes speed and pitch of speech each by itself, through the Sonic library that RHVoice brings along.

Resampling, which changes both and the formants, is in `audio`.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.errors import TrainingDataError


class Stretcher:
    """Sonic's pitch-synchronous overlap-add.

    Args:
        voices: RHVoice's folder; lib/libsonic.so.0 is in it.

    Raises:
        TrainingDataError: the library does not load.
    """

    def __init__(self, voices: Path) -> None:
        try:
            library = ctypes.CDLL(str(voices / "lib/libsonic.so.0"))
        except OSError as error:
            raise TrainingDataError(f"cannot load Sonic from {voices}/lib: {error}") from error
        self._change = library.sonicChangeShortSpeed
        self._change.argtypes = [ctypes.c_void_p, ctypes.c_int, *[ctypes.c_float] * 4, *[ctypes.c_int] * 3]
        self._change.restype = ctypes.c_int

    def __call__(self, samples: NDArray[np.int16], rate: int, speed: float, pitch: float = 1.0) -> NDArray[np.int16]:
        """Changes speed and pitch; the formants stay.

        Args:
            samples: int16 [n].
            rate: samples per second.
            speed: factor; 2 is twice as fast.
            pitch: factor.

        Returns:
            int16 [about n / speed].
        """
        # Sonic writes its result over its input, which must therefore have room for a longer one.
        buffer = np.zeros(max(len(samples), int(len(samples) / speed) + rate), np.int16)
        buffer[: len(samples)] = samples
        # The sixth value shifts the pitch as vocal cords do: the formants stay.
        length = self._change(buffer.ctypes.data, len(samples), speed, pitch, 1.0, 1.0, 1, rate, 1)
        return buffer[: max(0, length)].copy()
