"""What every source of audio offers: its format and its bytes, block by block.

Which kind of source a file needs is decided in `_open`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol


class Source(Protocol):
    """Audio of one channel in an encoding the service understands. Blocks can be read once.

    Attributes:
        name: for messages and outputs.
        encoding: as in `Options`.
        sample_rate: in Hz.
        seconds: length of the audio, None where it is not known beforehand.
        notes: what was done to the audio, one line each.
        problem: set while reading: why there is less audio than the file promises, one line.
    """

    name: str
    encoding: str
    sample_rate: int
    seconds: float | None
    notes: list[str]
    problem: str | None

    def blocks(self, block_ms: int) -> AsyncIterator[bytes]:
        """Yield the audio in pieces of at most `block_ms` milliseconds, whole samples each but perhaps the last."""

    def close(self) -> None:
        """Give the file back."""


def sample_at(block: int, block_ms: int, sample_rate: int) -> int:
    """First sample of a block; exact for any rate, so that blocks do not drift from the clock."""
    return block * block_ms * sample_rate // 1000
