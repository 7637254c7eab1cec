"""Numbers and names of the wire contract that client and service share.

Nothing here computes; see `_options` for what a caller may ask for and `_transport` for how it travels.
"""

from __future__ import annotations

from typing import Final

MODEL_NAME: Final = "streaming_asr"
DEFAULT_ADDRESS: Final = "localhost:8001"

AUDIO_INPUT: Final = "audio"
EVENTS_OUTPUT: Final = "events"

MODEL_SAMPLE_RATE: Final = 8000
"""Rate the network hears, in Hz. Audio at any other rate is resampled by the service."""

CHUNK_MS: Final = 300
"""The network advances in chunks of this much audio; sending less at a time brings no earlier answer."""

MAX_REQUEST_BYTES: Final = 2 * 1024 * 1024
"""The service refuses a request that carries more audio than this."""

MIN_SAMPLE_RATE: Final = 8000
MAX_SAMPLE_RATE: Final = 48000

SAMPLE_WIDTH: Final = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}
"""Bytes of one sample in each encoding the service understands."""
