"""Events as text: plain phrases, JSON lines and the subtitle formats SRT and WebVTT.

Where the text goes is `_outputs`' matter.
"""

from __future__ import annotations

import json
from typing import Final

from tritone_client._events import Event, as_dict
from tritone_client._events import Final as FinalEvent

FORMATS: Final = {"text": ".txt", "jsonl": ".jsonl", "srt": ".srt", "vtt": ".vtt"}
"""Format -> suffix of its files."""

_SHORTEST_CUE_S = 0.01


class Formatter:
    """Writes the events of one file after the other in one of `FORMATS`.

    Args:
        format_name: one of `FORMATS`.
        titled: name the file that events belong to, because there are several.
        words: in plain text, list the words of each phrase below it.
    """

    def __init__(self, format_name: str, *, titled: bool = False, words: bool = False) -> None:
        self._format = format_name
        self._titled = titled
        self._words = words
        self._cues = 0

    def begin(self, name: str) -> str:
        """What precedes the first event of a file."""
        self._cues = 0
        if self._format == "vtt":
            return "WEBVTT\n\n"
        return f"# {name}\n" if self._titled and self._format == "text" else ""

    def event(self, name: str, event: Event) -> str:
        """One event; empty for partials in formats that have none."""
        if self._format == "jsonl":
            item = {"file": name, **as_dict(event)} if self._titled else as_dict(event)
            return json.dumps(item, ensure_ascii=False) + "\n"
        if not isinstance(event, FinalEvent):
            return ""
        if self._format == "text":
            return self._text(event)
        self._cues += 1
        end = max(event.end, event.start + _SHORTEST_CUE_S)
        if self._format == "srt":
            return f"{self._cues}\n{timestamp(event.start, ',')} --> {timestamp(end, ',')}\n{event.text}\n\n"
        escaped = event.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"{timestamp(event.start, '.')} --> {timestamp(end, '.')}\n{escaped}\n\n"

    def _text(self, event: FinalEvent) -> str:
        lines = [event.text]
        if self._words:
            for word in event.words:
                confidence = "" if word.confidence is None else f"  {word.confidence:.2f}"
                lines.append(f"  {word.start:8.2f} {word.end:8.2f}{confidence}  {word.word}")
        return "\n".join(lines) + "\n"


def timestamp(seconds: float, point: str) -> str:
    """A time as subtitles write it: ``01:02:03,450`` with `point` before the milliseconds."""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"
