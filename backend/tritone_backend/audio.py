"""Audio bytes of one stream to chunks for the network: decode, resample, cut. Knows nothing of requests or slots."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from time import perf_counter

import numpy as np
import soxr
from numpy.typing import NDArray

from tritone_backend import g711
from tritone_backend.errors import Code, StreamError
from tritone_backend.spec import AcousticSpec

_SAMPLE_BYTES = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}


class AudioBuffer:
    """The audio of one stream that the network has not heard yet.

    Samples come out as int16 at the network's rate in chunks of ``spec.chunk_samples``. The stream is framed by
    ``spec.padding_samples`` zeros at either end, as the network was trained.
    """

    def __init__(self, spec: AcousticSpec, encoding: str, sample_rate: int) -> None:
        self._chunk = spec.chunk_samples
        self._padding = spec.padding_samples
        self._decode = _DECODERS[encoding]
        self._sample_bytes = _SAMPLE_BYTES[encoding]
        self._tail = b""  # bytes of a sample that was split between requests
        self._resampler = (
            # float32: soxr dithers int16 at random, and the same audio must always give the same words
            soxr.ResampleStream(sample_rate, spec.sample_rate, 1, dtype="float32")
            if sample_rate != spec.sample_rate
            else None
        )
        self.resampling_us = nan  # since the last feed began; NaN without a resampler
        self._samples: NDArray[np.int16] = np.zeros(self._padding, np.int16)
        self._position = 0

    @property
    def pending_chunks(self) -> int:
        """Whole chunks that can be taken now."""
        return (len(self._samples) - self._position) // self._chunk

    def feed(self, data: bytes) -> None:
        """Append audio bytes; any split of bytes between calls is fine.

        Raises:
            StreamError: ``bad-audio``: NaN or infinite float samples. The buffer is then as before the call.
        """
        if self._resampler is not None:
            self.resampling_us = 0.0
        if self._tail:
            data = self._tail + data
        cut = len(data) - len(data) % self._sample_bytes
        samples = self._decode(data[:cut])
        self._tail = data[cut:]
        self._append(samples, last=False)

    def finish(self) -> None:
        """End the stream: drain the resampler, fill the last chunk with zeros, add the trained padding."""
        self._tail = b""
        self._append(np.zeros(0, np.int16), last=True)
        left = len(self._samples) - self._position
        zeros = -left % self._chunk + self._padding
        self._samples = np.concatenate([self._samples[self._position :], np.zeros(zeros, np.int16)])
        self._position = 0

    def take_chunk(self) -> NDArray[np.int16]:
        """Return the next chunk, int16 [chunk_samples]. Call only while ``pending_chunks``."""
        start = self._position
        self._position += self._chunk
        return self._samples[start : self._position]

    def _append(self, samples: NDArray[np.int16], *, last: bool) -> None:
        if self._resampler is not None:
            begin = perf_counter()
            converted = self._resampler.resample_chunk(samples.astype(np.float32), last=last)
            samples = np.rint(np.clip(converted, -32768.0, 32767.0)).astype(np.int16)
            self.resampling_us += (perf_counter() - begin) * 1e6
        if not len(samples):
            return
        if self._position < len(self._samples):
            samples = np.concatenate([self._samples[self._position :], samples])
        self._samples, self._position = samples, 0


def _decode_s16(data: bytes) -> NDArray[np.int16]:
    return np.frombuffer(data, "<i2")


def _decode_f32(data: bytes) -> NDArray[np.int16]:
    values = np.frombuffer(data, "<f4")
    if not np.isfinite(values).all():
        raise StreamError(Code.BAD_AUDIO, "the audio holds NaN or infinite samples: send finite values in -1..1")
    scaled: NDArray[np.int16] = np.rint(np.clip(values, -1.0, 1.0) * 32767.0).astype(np.int16)
    return scaled


def _decode_mulaw(data: bytes) -> NDArray[np.int16]:
    return g711.MULAW[np.frombuffer(data, np.uint8)]


def _decode_alaw(data: bytes) -> NDArray[np.int16]:
    return g711.ALAW[np.frombuffer(data, np.uint8)]


_DECODERS: dict[str, Callable[[bytes], NDArray[np.int16]]] = {
    "pcm_s16le": _decode_s16,
    "pcm_f32le": _decode_f32,
    "mulaw": _decode_mulaw,
    "alaw": _decode_alaw,
}
