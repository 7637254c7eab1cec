"""What a client may ask of its stream, checked once when the stream starts. The wire names are the field names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tritone_backend.errors import Code, StreamError

ENCODINGS = ("pcm_s16le", "pcm_f32le", "mulaw", "alaw")
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 8_000, 48_000
MIN_ENDPOINTING_MS, MAX_ENDPOINTING_MS = 60, 10_000
MAX_HOTWORD_CHARACTERS = 100_000
MIN_PHRASE_MS, MAX_PHRASE_MS = 1_000, 60_000


@dataclass(frozen=True)
class StreamOptions:
    """Options of one stream.

    Attributes:
        encoding: how bytes become samples, one of ``ENCODINGS``; multi-byte samples are little-endian.
        sample_rate: of the audio sent, in Hz.
        interim_results: whether partials are sent.
        endpointing_ms: silence that closes a phrase. 600 is T-one's.
        max_phrase_ms: a phrase is cut when it gets this long. 60 000 is T-one's.
        words: whether finals list their words with times and confidence.
        resume_after_ms: time on this stream's own axis up to which phrases were already delivered.
        hotwords: JSON list of words to expect, or of objects with ``word`` and ``boost``.
        probe: a health check: one engine step on a reserved slot, no slot taken.
    """

    encoding: str = "pcm_s16le"
    sample_rate: int = 8_000
    interim_results: bool = True
    endpointing_ms: int = 600
    max_phrase_ms: int = 60_000
    words: bool = False
    resume_after_ms: int = 0
    hotwords: str = "[]"
    probe: bool = False

    @classmethod
    def parse(cls, parameters: Mapping[str, Any]) -> StreamOptions:
        """Check the request parameters of a START request.

        Raises:
            StreamError: ``bad-option``: an unknown name, a wrong type or a value out of range.
        """
        known = {field.name: field.type for field in fields(cls)}
        for name, value in parameters.items():
            if name not in known:
                raise _bad(f"unknown option {name!r}: known are {', '.join(sorted(known))}")
            expected = {"str": str, "int": int, "bool": bool}[str(known[name])]
            if type(value) is not expected:
                raise _bad(f"option {name} must be {_article(expected)}, not {value!r:.40}")
        options = cls(**parameters)
        if options.encoding not in ENCODINGS:
            raise _bad(f"unknown encoding {options.encoding!r:.40}: known are {', '.join(ENCODINGS)}")
        _in_range("sample_rate", options.sample_rate, MIN_SAMPLE_RATE, MAX_SAMPLE_RATE, "Hz")
        _in_range("endpointing_ms", options.endpointing_ms, MIN_ENDPOINTING_MS, MAX_ENDPOINTING_MS, "ms")
        _in_range("max_phrase_ms", options.max_phrase_ms, MIN_PHRASE_MS, MAX_PHRASE_MS, "ms")
        _in_range("resume_after_ms", options.resume_after_ms, 0, 3_600_000, "ms")
        if len(options.hotwords) > MAX_HOTWORD_CHARACTERS:
            raise _bad(
                f"hotwords have {len(options.hotwords)} characters, at most {MAX_HOTWORD_CHARACTERS} are taken: "
                "send those this call is likely to need"
            )
        return options


def _article(kind: type) -> str:
    return {str: "a string", int: "an integer", bool: "true or false"}[kind]


def _in_range(name: str, value: int, low: int, high: int, unit: str) -> None:
    if not low <= value <= high:
        raise _bad(f"{name} must be {low} to {high} {unit}, not {value}")


def _bad(message: str) -> StreamError:
    return StreamError(Code.BAD_OPTION, message)
