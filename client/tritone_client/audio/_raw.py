"""Sources whose bytes go to the service as they are: headerless files, G.711 inside WAV files, and pipes.

Decoding is in `_decoded`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import BinaryIO

from tritone_client._chunker import Chunker
from tritone_client._options import Options
from tritone_client._wire import SAMPLE_WIDTH
from tritone_client.audio._source import sample_at

_PIPE_READ_BYTES = 65536


class RawSource:
    """Part of an open file, from its present position on. See `Source` for the attributes.

    Args:
        file: positioned at the first sample.
        name: for messages.
        encoding: of the bytes.
        sample_rate: in Hz.
        size: bytes of audio there are.
        promised: bytes of audio the file's header announces; None if it says nothing.
    """

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        encoding: str,
        sample_rate: int,
        size: int,
        promised: int | None = None,
    ) -> None:
        self._file = file
        self._left = size
        self._width = SAMPLE_WIDTH[encoding]
        self.name = name
        self.encoding = encoding
        self.sample_rate = sample_rate
        per_second = sample_rate * self._width
        self.seconds: float | None = size / per_second
        self.notes: list[str] = []
        self.problem: str | None = None
        if promised is not None and promised > size:
            self.problem = ends_early(size / per_second, promised / per_second)
        elif size % self._width:
            self.notes.append(f"ends in the middle of a sample; are {encoding} and {sample_rate} Hz right?")

    async def blocks(self, block_ms: int) -> AsyncIterator[bytes]:
        """Yield the audio in pieces of at most `block_ms` milliseconds."""
        for block in itertools.count():
            first, end = (sample_at(index, block_ms, self.sample_rate) for index in (block, block + 1))
            data = self._file.read(min((end - first) * self._width, self._left))
            if not data:
                return
            self._left -= len(data)
            yield data

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class PipeSource:
    """Raw audio that arrives over time; blocks are passed on as soon as they are whole chunks of the network.

    Args:
        reader: where the bytes come from.
        head: bytes that were taken from the reader before, to look at them.
        name: for messages.
        encoding: of the bytes.
        sample_rate: in Hz.
    """

    def __init__(self, reader: asyncio.StreamReader, head: bytes, name: str, encoding: str, sample_rate: int) -> None:
        self._reader = reader
        self._head = head
        self.name = name
        self.encoding = encoding
        self.sample_rate = sample_rate
        self.seconds: float | None = None
        self.notes: list[str] = []
        self.problem: str | None = None

    async def blocks(self, block_ms: int) -> AsyncIterator[bytes]:
        """Yield what has arrived, whole chunks at a time and at most `block_ms` milliseconds."""
        options = Options(encoding=self.encoding, sample_rate=self.sample_rate)
        chunker = Chunker(options)
        most = max(chunker.size, block_ms * options.bytes_per_second // 1000 // chunker.size * chunker.size)
        data = self._head
        while data:
            whole = chunker.push(data)
            for first in range(0, len(whole), most):
                yield whole[first : first + most]
            data = await self._reader.read(_PIPE_READ_BYTES)
        if rest := chunker.flush():
            yield rest

    def close(self) -> None:
        """Nothing to do: the pipe belongs to the process."""


def ends_early(seconds: float, promised: float) -> str:
    """The message about a file that holds less than it says."""
    return f"ends early: {seconds:.1f} s of audio where its header promises {promised:.1f} s"
