"""Files that libsndfile decodes: WAV, FLAC, MP3, Ogg (Vorbis and Opus), AIFF, AU and others, as PCM of 16 bit.

Files are read block by block; channels are mixed down. Resampling is left to the service.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from tritone_client.audio._raw import ends_early
from tritone_client.audio._source import sample_at

_STEP_SAMPLES = 4096
_LONGEST_S = 10 * 24 * 3600.0
"""A length beyond this is libsndfile's way to say that the length is unknown."""


class ForwardFile(soundfile.SoundFile):  # type: ignore[misc] # soundfile has no types
    """A file that is read from beginning to end.

    `SoundFile` seeks to where it already is after each read of a seekable file. That makes an MP3 decoder start anew
    and lose sound at every block.
    """

    def seekable(self) -> bool:
        """No, so that nothing seeks."""
        return False


class DecodedSource:
    """One file through libsndfile. See `Source` for the attributes.

    Args:
        file: newly opened.
        under: the file object that it reads, closed with it.
        name: for messages.
        promised_s: seconds that the file's header announces, where libsndfile does not tell; None otherwise.
    """

    encoding = "pcm_s16le"

    def __init__(self, file: ForwardFile, under: BinaryIO, name: str, promised_s: float | None = None) -> None:
        self._file = file
        self._under = under
        self.name = name
        self.sample_rate: int = file.samplerate
        length = file.frames / file.samplerate
        self.seconds: float | None = length if length < _LONGEST_S else None
        self._promised_s = promised_s if promised_s is not None else self.seconds
        self.notes: list[str] = []
        self.problem: str | None = None
        if file.channels > 1:
            self.notes.append(f"{file.channels} channels are mixed down to one")

    async def blocks(self, block_ms: int) -> AsyncIterator[bytes]:
        """Yield the audio in pieces of at most `block_ms` milliseconds, little-endian 16 bit."""
        done = 0
        failure = ""
        for block in itertools.count():
            first, end = (sample_at(index, block_ms, self.sample_rate) for index in (block, block + 1))
            data, failure = self._read(end - first)
            done += len(data) // 2
            if data:
                yield data
            if failure or not data:
                break
        self._judge(done / self.sample_rate, failure)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._under.close()

    def _read(self, samples: int) -> tuple[bytes, str]:
        """The next samples, and why there are no more. In small steps: a failing read loses all it had decoded."""
        data = bytearray()
        while (missing := samples - len(data) // 2) > 0:
            try:
                step = self._file.read(min(missing, _STEP_SAMPLES), dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                return bytes(data), _reason(error)
            if not len(step):
                break
            data += to_pcm16(step)
        return bytes(data), ""

    def _judge(self, seconds: float, failure: str) -> None:
        promised = self._promised_s
        short = promised is not None and seconds < promised - 0.1
        if failure:
            self.problem = f"is damaged after {seconds:.1f} s ({failure})"
        elif promised is not None and short and self._file.format == "MP3":
            # The length of an MP3 file without an index is a guess from its first frames.
            self.notes.append(f"{seconds:.1f} s of audio; its header suggests {promised:.1f} s")
        elif promised is not None and short:
            self.problem = ends_early(seconds, promised)


def to_pcm16(samples: NDArray[np.float32]) -> bytes:
    """Mix down and quantise.

    Args:
        samples: float32 [n, channels], full scale 1. Integers read as such come back unchanged.

    Returns:
        n little-endian 16-bit samples.
    """
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    scaled = np.clip(np.rint(np.nan_to_num(mono) * 32768.0), -32768, 32767)
    data: bytes = scaled.astype("<i2").tobytes()
    return data


def _reason(error: Any) -> str:
    reason = str(error.error_string).strip().rstrip(".").lower().removeprefix("error : ")
    return reason or "the data make no sense"
