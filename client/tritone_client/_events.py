"""What a stream reports: partials, finals and their words, and how they are read from the wire.

Which of them reach the caller after a resume is decided in `_resume`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias, TypeVar

from tritone_client._errors import ProtocolError


@dataclasses.dataclass(frozen=True, slots=True)
class Word:
    """One word of a phrase.

    Attributes:
        word: the word as recognised.
        start: seconds from the first sample sent.
        end: seconds from the first sample sent.
        confidence: 0 to 1, None where the service gives none.
    """

    word: str
    start: float
    end: float
    confidence: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Partial:
    """The open phrase so far, as a whole; the next event of the stream replaces it.

    Attributes:
        text: the words so far, separated by spaces.
        start: seconds from the first sample sent to the beginning of the phrase.
        end: seconds from the first sample sent to the end of what was heard of it.
        confidence: 0 to 1, None where the service gives none.
        words: filled when the stream was opened with ``words=True``.
    """

    type: ClassVar[str] = "partial"
    text: str
    start: float
    end: float
    confidence: float | None = None
    words: tuple[Word, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Final:
    """A phrase that is complete and never taken back. Its fields are those of `Partial`."""

    type: ClassVar[str] = "final"
    text: str
    start: float
    end: float
    confidence: float | None = None
    words: tuple[Word, ...] = ()


Event: TypeAlias = Partial | Final
_MOST_SECONDS = 1e9
_E = TypeVar("_E", bound=Partial | Final)


def parse_events(payload: bytes) -> list[Event]:
    """Read the service's answer to one request.

    Args:
        payload: a JSON list in UTF-8, as the output ``events`` carries it.

    Returns:
        The events in the order in which they happened. Types this client does not know are left out, so that
        a newer service may add some.

    Raises:
        ProtocolError: the payload is something else.
    """
    try:
        items = json.loads(payload)
        return [event for item in items if (event := _parse_event(item)) is not None]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"the service's answer is not a list of events ({error!r:.200})") from error


def shifted(event: _E, seconds: float) -> _E:
    """The same event on a time axis that begins `seconds` earlier, rounded to 0.01 s as on the wire."""
    if seconds == 0.0:
        return event
    words = tuple(
        dataclasses.replace(word, start=_rounded(word.start + seconds), end=_rounded(word.end + seconds))
        for word in event.words
    )
    return dataclasses.replace(
        event, start=_rounded(event.start + seconds), end=_rounded(event.end + seconds), words=words
    )


def as_dict(event: Event) -> dict[str, Any]:
    """The event as it travels: a dictionary ready for JSON, without what the service did not say."""
    item: dict[str, Any] = {"type": event.type, "text": event.text, "start": event.start, "end": event.end}
    if event.confidence is not None:
        item["confidence"] = event.confidence
    if event.words:
        item["words"] = [dataclasses.asdict(word) for word in event.words]
    return item


def _parse_event(item: Mapping[str, Any]) -> Event | None:
    if item["type"] not in ("partial", "final"):
        return None
    kind = Partial if item["type"] == "partial" else Final
    return kind(
        text=_text(item["text"]),
        start=_number(item["start"]),
        end=_number(item["end"]),
        confidence=_optional(item.get("confidence")),
        words=tuple(
            Word(_text(word["word"]), _number(word["start"]), _number(word["end"]), _optional(word.get("confidence")))
            for word in item.get("words") or ()
        ),
    )


def _optional(value: Any) -> float | None:
    return None if value is None else _number(value)


def _number(value: Any) -> float:
    number = float(value)
    if not abs(number) < _MOST_SECONDS:  # NaN and infinities too
        raise ValueError(f"{number} is no time and no confidence")
    return number


def _text(value: Any) -> str:
    text = str(value)
    text.encode()  # half a character cannot be shown or stored
    return text


def _rounded(seconds: float) -> float:
    return round(seconds, 2)
