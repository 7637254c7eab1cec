"""Structured log lines about single streams, few enough to read and cheap enough to keep on. Writes nowhere itself."""

from __future__ import annotations

import json
from collections.abc import Callable

from tritone_backend.profiling.names import CAUSES

BURST = 10
INTERVAL_S = 1.0


class Journal:
    """``event=NAME stream=ID key=value ... cause="..."`` lines.

    Of each kind ten at once, then one a second: trouble of one stream is always said, a flood does not fill the disk.

    Args:
        write: takes a finished line; called on the caller's thread.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._allowed: dict[tuple[str, str], tuple[float, float]] = {}  # lines left at a time
        self._unsaid: dict[tuple[str, str], int] = {}

    def note(
        self, now_s: float, event: str, stream_id: int | str, reason: str = "", *, detail: str = "", **fields: float
    ) -> None:
        """Say that something happened to a stream, or count it when its kind was said too often just now.

        Args:
            now_s: a monotonic clock's time.
            event: what happened; with ``reason`` it is the kind, and `names.CAUSES` has its meaning.
            stream_id: whose stream, 0 when it concerns all; foreign clients may use text.
            reason: a word.
            detail: the error's own words; cut to 200 characters.
            fields: numbers that explain it.
        """
        kind = (event, reason)
        left, at = self._allowed.get(kind, (float(BURST), now_s))
        left = min(float(BURST), left + max(0.0, now_s - at) / INTERVAL_S)
        if left < 1.0:
            self._allowed[kind] = (left, now_s)
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._allowed[kind] = (left - 1.0, now_s)
        shown = {"reason": reason} if reason else {}
        shown |= {key: f"{value:.6g}" for key, value in fields.items()}
        unsaid = self._unsaid.pop(kind, 0)
        if unsaid:
            shown["unsaid"] = str(unsaid)
        cause = CAUSES.get(f"{event} {reason}") or CAUSES.get(event)
        if cause:
            shown["cause"] = f'"{cause}"'
        if detail:
            shown["detail"] = json.dumps(detail[:200], ensure_ascii=False)
        stream = stream_id if isinstance(stream_id, int) else json.dumps(stream_id)  # text could forge a line
        self._write(f"tritone: event={event} stream={stream} " + " ".join(f"{k}={v}" for k, v in shown.items()))
