"""Structured log lines about single streams, few enough to read and cheap enough to keep on. Writes nowhere itself."""

from __future__ import annotations

import json
from collections.abc import Callable

INTERVAL_S = 10.0


class Journal:
    """``event=NAME stream=ID key=value ...`` lines: of each kind one at once, then one every ten seconds at most.

    Args:
        write: takes a finished line; called on the caller's thread.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._next: dict[tuple[str, str], float] = {}
        self._unsaid: dict[tuple[str, str], int] = {}

    def note(self, now_s: float, event: str, stream_id: int | str, reason: str = "", **fields: float) -> None:
        """Say that something happened to a stream, or count it when its kind was said just now.

        Args:
            now_s: a monotonic clock's time.
            event: what happened; with ``reason`` it is the kind.
            stream_id: whose stream; foreign clients may use text.
            reason: a word.
            fields: numbers that explain it.
        """
        kind = (event, reason)
        if now_s < self._next.get(kind, now_s):
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._next[kind] = now_s + INTERVAL_S
        unsaid = self._unsaid.pop(kind, 0)
        shown = {"reason": reason} if reason else {}
        shown |= {key: f"{value:.6g}" for key, value in fields.items()}
        if unsaid:
            shown["unsaid"] = str(unsaid)
        stream = stream_id if isinstance(stream_id, int) else json.dumps(stream_id)  # text could forge a line
        self._write(f"tritone: event={event} stream={stream} " + " ".join(f"{k}={v}" for k, v in shown.items()))
