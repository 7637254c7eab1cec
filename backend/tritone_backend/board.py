"""A few numbers that all processes of one server share: whether it is drained, and how many streams live in each.

Shared memory rather than messages: a drain reaches one process and must hold in all, whatever Triton does between them.
"""

from __future__ import annotations

import mmap
from enum import IntEnum
from pathlib import Path

MODELS = ("streaming_asr", "streaming_acoustic")
INSTANCES = 64
_ROWS = len(MODELS) * INSTANCES
SIZE = 8 * (1 + _ROWS)


class Door(IntEnum):
    """What becomes of streams.

    ``DRAINING`` turns new ones away, ``ENDING`` ends those that run as well.
    """

    OPEN = 0
    DRAINING = 1
    ENDING = 2


class Board:
    """One process's view; every write is a single aligned 8-byte store.

    Attributes:
        row: this process's own.
    """

    def __init__(self, memory: bytearray | mmap.mmap, row: int = 0) -> None:
        """Use ``memory`` of `SIZE` bytes, zeros at first."""
        self._cells = memoryview(memory).cast("q")
        self.row = 1 + row

    @classmethod
    def private(cls) -> Board:
        """For a process of its own."""
        return cls(bytearray(SIZE))

    @classmethod
    def join(cls, path: str, instance: str) -> Board:
        """The server's board, or a private one when it has none.

        Args:
            path: of the file that :func:`create` made; may be empty.
            instance: Triton's name of the model instance, ``MODEL_GROUP_NUMBER``.
        """
        model, number = instance.rsplit("_", 2)[0], int(instance.rpartition("_")[2])
        if not path or model not in MODELS or number >= INSTANCES:
            return cls.private()
        try:
            with open(path, "r+b") as file:  # noqa: PTH123 - mmap wants a descriptor
                memory = mmap.mmap(file.fileno(), SIZE)
        except (OSError, ValueError):
            return cls.private()
        return cls(memory, MODELS.index(model) * INSTANCES + number)

    @property
    def door(self) -> Door:
        """Whether streams come in or are to go."""
        return Door(self._cells[0])

    @door.setter
    def door(self, state: Door) -> None:
        self._cells[0] = int(state)

    @property
    def live(self) -> int:
        """Streams alive in all processes."""
        return sum(self._cells[1:])

    def publish(self, live: int) -> None:
        """Say how many streams live in this process."""
        self._cells[self.row] = live


def create(path: Path) -> None:
    """Make an empty board, with its memory reserved: a full /dev/shm is found out here and not in mid-call.

    Raises:
        OSError: there is no room.
    """
    with path.open("wb") as file:
        file.write(bytes(SIZE))
