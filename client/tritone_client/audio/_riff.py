"""The header of a WAV file, as far as it tells whether the samples can go to the service as they are.

Everything else about WAV is left to libsndfile.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import BinaryIO, Final

_G711: Final = {6: "alaw", 7: "mulaw"}
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)


@dataclasses.dataclass(frozen=True, slots=True)
class WavHeader:
    """What a WAV file says of itself.

    Attributes:
        format_tag: 1 PCM, 3 float, 6 A-law, 7 mu-law, 0xFFFE extensible.
        channels: samples per frame.
        sample_rate: in Hz.
        bytes_per_second: of the encoded audio; 0 if the header says nonsense.
        data_start: position of the first sample in the file.
        promised: bytes of audio announced; None where the writer did not know.
        size: bytes of audio that are there.
    """

    format_tag: int
    channels: int
    sample_rate: int
    bytes_per_second: int
    data_start: int
    promised: int | None
    size: int

    @property
    def encoding(self) -> str | None:
        """``mulaw`` or ``alaw`` where the data are G.711 of one channel, None otherwise."""
        return _G711.get(self.format_tag) if self.channels == 1 else None


def read_header(file: BinaryIO, file_size: int) -> WavHeader | None:
    """Read a WAV header from the beginning of a file.

    Returns:
        None when it is no WAV file, or one that breaks off before its samples. The file's position is undefined.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    described: tuple[int, int, int, int] | None = None
    position = 12
    while True:
        file.seek(position)
        chunk = file.read(8)
        if len(chunk) < 8:
            return None
        name, size = struct.unpack("<4sI", chunk)
        if name == b"fmt ":
            body = file.read(12)
            if len(body) < 12:
                return None
            described = struct.unpack("<HHII", body)
        elif name == b"data":
            if described is None:
                return None
            start = position + 8
            promised = None if size in _UNKNOWN_SIZES else size
            there = max(0, file_size - start)
            return WavHeader(*described, start, promised, there if promised is None else min(promised, there))
        position += 8 + size + size % 2
