"""Events as the wire carries them. The only place that knows the JSON."""

from __future__ import annotations

import json
from typing import Any

from tritone_backend.decoding import DecodedPhrase
from tritone_backend.spec import AcousticSpec

Event = dict[str, Any]


class TimeAxis:
    """Converts output frames to seconds from the first sample that the client sent, and back.

    ``t = frame x frame_seconds - time_bias - padding``, not below zero, rounded to 0.01 s as T-one does: the network
    hears ``padding`` seconds of zeros first and emits a label ``time_bias`` later than its sound.
    """

    def __init__(self, spec: AcousticSpec) -> None:
        self._frame_seconds = spec.frame_seconds
        self._delay = spec.time_bias_seconds + spec.padding_samples / spec.sample_rate

    def seconds(self, frame: int) -> float:
        """Time of a frame boundary."""
        return max(0.0, round(frame * self._frame_seconds - self._delay, 2))

    def frame(self, seconds: float) -> int:
        """Frame boundary of a time that :meth:`seconds` returned; 0 for 0 s, the very beginning."""
        return round((seconds + self._delay) / self._frame_seconds) if seconds > 0 else 0


def event(kind: str, phrase: DecodedPhrase, start: int, end: int, axis: TimeAxis, *, words: bool) -> Event:
    """Build a ``partial`` or ``final`` event from a phrase and its frames [start, end)."""
    first = axis.seconds(start)
    result: Event = {
        "type": kind,
        "text": phrase.text,
        "start": first,
        "end": max(first, axis.seconds(end)),
        "confidence": round(phrase.confidence, 3),
    }
    if words:
        result["words"] = [
            {
                "word": word.text,
                "start": axis.seconds(word.start),
                "end": axis.seconds(word.end),
                "confidence": round(word.confidence, 3),
            }
            for word in phrase.words
        ]
    return result


def encode(events: list[Event]) -> bytes:
    """UTF-8 JSON list; ``[]`` when nothing is new."""
    return json.dumps(events, ensure_ascii=False, separators=(",", ":")).encode() if events else b"[]"
