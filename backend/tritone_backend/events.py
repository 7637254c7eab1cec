"""Events as the wire carries them. The only place that knows the JSON."""

from __future__ import annotations

import json
from typing import Any

from tritone_backend.decoding import DecodedPhrase, DecodedWord
from tritone_backend.decoding.confidence import PhraseConfidence
from tritone_backend.decoding.settings import Timing
from tritone_backend.spec import AcousticSpec

Event = dict[str, Any]


class TimeAxis:
    """Converts output frames to seconds from the first sample that the client sent, and back.

    ``t = frame x frame_seconds - time_bias - padding``, not below zero, rounded to 0.01 s as T-one does: the network
    hears ``padding`` seconds of zeros first and emits a label ``time_bias`` later than its sound.
    """

    def __init__(self, spec: AcousticSpec, timing: Timing | None = None) -> None:
        self._frame_seconds = spec.frame_seconds
        self._delay = spec.time_bias_seconds + spec.padding_samples / spec.sample_rate
        self._timing = timing or Timing()

    def seconds(self, frame: int) -> float:
        """Time of a frame boundary."""
        return max(0.0, round(frame * self._frame_seconds - self._delay, 2))

    def frame(self, seconds: float) -> int:
        """Frame boundary of a time that :meth:`seconds` returned; 0 for 0 s, the very beginning."""
        return round((seconds + self._delay) / self._frame_seconds) if seconds > 0 else 0

    def words(self, words: list[DecodedWord]) -> list[tuple[float, float]]:
        """Where words sound: beginning and end of each, none before the end of the one before it."""
        times: list[tuple[float, float]] = []
        before = 0.0
        for word in words:
            start = word.start * self._frame_seconds - self._delay + self._timing.word_start_shift
            end = word.end * self._frame_seconds - self._delay + self._timing.word_end_shift
            start = max(before, round(start, 2))
            before = max(start, round(end, 2))
            times.append((start, before))
        return times


def event(
    kind: str,
    phrase: DecodedPhrase,
    start: int,
    end: int,
    axis: TimeAxis,
    confidence: PhraseConfidence,
    *,
    words: bool,
) -> Event:
    """Build a ``partial`` or ``final`` event from a phrase and its frames [start, end)."""
    first = axis.seconds(start)
    sure, mean = confidence.of(phrase.words)
    result: Event = {
        "type": kind,
        "text": phrase.text,
        "start": first,
        "end": max(first, axis.seconds(end)),
        "confidence": round(mean, 3),
    }
    if words:
        result["words"] = [
            {"word": word.text, "start": begin, "end": until, "confidence": round(value, 3)}
            for word, (begin, until), value in zip(phrase.words, axis.words(phrase.words), sure, strict=True)
        ]
    return result


def encode(events: list[Event]) -> bytes:
    """UTF-8 JSON list; ``[]`` when nothing is new."""
    return json.dumps(events, ensure_ascii=False, separators=(",", ":")).encode() if events else b"[]"
