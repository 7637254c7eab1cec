"""Gathers audio of any granularity into pieces worth a request.

Only bytes are counted here; when a piece is sent, and where, is the stream's matter.
"""

from __future__ import annotations

from tritone_client._options import Options
from tritone_client._wire import CHUNK_MS, MODEL_SAMPLE_RATE

_RESAMPLED_CHUNK_MS = 100


class Chunker:
    """Passes audio on in whole chunks and keeps the rest until it is one.

    Telephony hands over 20 ms at a time, while the network moves every 300 ms: sending each packet by itself
    would cost fifteen requests per answer and bring no answer earlier. At other rates than the network's own
    the service's resampler holds a little audio back, so that a chunk completes at some point between two
    boundaries; pieces of 100 ms keep the wait for it short.

    Attributes:
        size: bytes of one chunk; whole samples.
    """

    def __init__(self, options: Options) -> None:
        chunk_ms = CHUNK_MS if options.sample_rate == MODEL_SAMPLE_RATE else _RESAMPLED_CHUNK_MS
        self.size = options.sample_rate * chunk_ms // 1000 * options.sample_width
        self._held = bytearray()

    def push(self, audio: bytes) -> bytes:
        """Take audio and return all that is complete: a multiple of `size` bytes, possibly none."""
        self._held += audio
        whole = len(self._held) // self.size * self.size
        piece = bytes(self._held[:whole])
        del self._held[:whole]
        return piece

    def flush(self) -> bytes:
        """Return what is left, less than one chunk."""
        piece = bytes(self._held)
        self._held.clear()
        return piece
