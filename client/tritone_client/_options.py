"""What a caller chooses: `Options` of one stream and `Timeouts` of a client.

How options travel is `_transport`'s matter; ranges that only the service knows are left to the service.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import TypedDict

from tritone_client._errors import InvalidOption
from tritone_client._wire import CHUNK_MS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, SAMPLE_WIDTH

ParameterValue = bool | int | str


class OptionFields(TypedDict, total=False):
    """The fields of `Options` as keyword arguments."""

    encoding: str
    sample_rate: int
    interim_results: bool
    endpointing_ms: int | None
    max_phrase_ms: int | None
    words: bool
    hotwords: Sequence[str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of one stream.

    ================== ============= =======================================================================
    option             default       meaning
    ================== ============= =======================================================================
    encoding           pcm_s16le     pcm_s16le, pcm_f32le (little endian), mulaw or alaw; one channel
    sample_rate        8000          of the audio sent, in Hz, 8000 to 48000; the service resamples
    interim_results    True          report partials, not only finals
    endpointing_ms     None          silence that ends a phrase, in milliseconds (None: the service's choice)
    max_phrase_ms      None          longest phrase, in milliseconds (None: the service's choice)
    words              False         report words with their times and confidence
    hotwords           ()            words to prefer
    ================== ============= =======================================================================

    Raises:
        InvalidOption: a value is unknown or out of range.
    """

    encoding: str = "pcm_s16le"
    sample_rate: int = 8000
    interim_results: bool = True
    endpointing_ms: int | None = None
    max_phrase_ms: int | None = None
    words: bool = False
    hotwords: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.encoding not in SAMPLE_WIDTH:
            raise InvalidOption(f"encoding {self.encoding!r} is unknown; use one of {', '.join(SAMPLE_WIDTH)}")
        if not MIN_SAMPLE_RATE <= self.sample_rate <= MAX_SAMPLE_RATE:
            raise InvalidOption(
                f"sample rate {self.sample_rate} Hz is out of range; "
                f"it must be between {MIN_SAMPLE_RATE} and {MAX_SAMPLE_RATE}"
            )
        for name in ("endpointing_ms", "max_phrase_ms"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InvalidOption(f"{name} must be positive, not {value}")
        if isinstance(self.hotwords, str):
            raise InvalidOption("hotwords must be a list of words, not one string")
        object.__setattr__(self, "hotwords", tuple(self.hotwords))

    @property
    def sample_width(self) -> int:
        """Bytes of one sample."""
        return SAMPLE_WIDTH[self.encoding]

    @property
    def bytes_per_second(self) -> int:
        """Bytes of one second of audio."""
        return self.sample_width * self.sample_rate

    @property
    def grid_ms(self) -> int:
        """Smallest multiple of a chunk that is a whole number of source samples, in milliseconds.

        300 ms at 8000 or 44100 Hz, 600 ms at 11025 Hz (where 300 ms would be 3307.5 samples).
        """
        return CHUNK_MS * (1000 // math.gcd(CHUNK_MS * self.sample_rate, 1000))

    def parameters(self) -> dict[str, ParameterValue]:
        """Request parameters that open a stream with these options; what the service chooses is left out."""
        chosen: dict[str, ParameterValue] = {
            "encoding": self.encoding,
            "sample_rate": self.sample_rate,
            "interim_results": self.interim_results,
            "words": self.words,
        }
        if self.endpointing_ms is not None:
            chosen["endpointing_ms"] = self.endpointing_ms
        if self.max_phrase_ms is not None:
            chosen["max_phrase_ms"] = self.max_phrase_ms
        if self.hotwords:
            chosen["hotwords"] = json.dumps(list(self.hotwords), ensure_ascii=False)
        return chosen


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a client waits, in seconds.

    ============ ======== ================================================================================
    field        default  meaning
    ============ ======== ================================================================================
    request      10       for the answer to one request; past it the connection counts as lost
    admission    30       in all for a slot on a full service, before ServerFull is raised; 0: never wait
    resume       60       in all for a lost stream to be taken up again, before StreamLost is raised
    ============ ======== ================================================================================

    Raises:
        InvalidOption: a time is negative, or `request` is 0.
    """

    request: float = 10.0
    admission: float = 30.0
    resume: float = 60.0

    def __post_init__(self) -> None:
        if self.request <= 0 or self.admission < 0 or self.resume < 0:
            raise InvalidOption("timeouts are seconds: request above 0, admission and resume 0 or more")
