"""What the tests of `tritone transcribe` transcribe: a call that the fake service answers with digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from tests.client.fake_service import speech

CALL = speech((0, 0.5), (7, 0.9), (8, 0.6), (0, 1.2), (9, 0.7))
CALL_TEXT = "7 8\n9\n"


def ulaw(path: Path, *parts: tuple[int, float]) -> str:
    path.write_bytes(speech(*parts) if parts else CALL)
    return str(path)


def pcm(*parts: tuple[int, float], rate: int = 8000) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """The fake service takes the first byte of a sample for a word: so values below 128."""
    return np.frombuffer(speech(*parts, rate=rate, width=2), "<i2")


def write(path: Path, data: object, rate: int, **how: str) -> Path:
    soundfile.write(path, data, rate, **how)
    return path
