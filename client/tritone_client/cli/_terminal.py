"""What a person sees while a command works: one line at the bottom of the terminal that rewrites itself.

Messages and results go through here too, so that they never mix with that line.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TextIO

_REDRAW_S = 0.1


class Terminal:
    """Standard error as a person watches it.

    Args:
        quiet: nothing but errors.
        stream: where it is shown; None for standard error.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._drawn = ""
        self._last = 0.0
        self.live = not quiet and self._stream.isatty() and os.environ.get("TERM") != "dumb"

    def status(self, text: str, phrase: str = "", *, at_once: bool = False) -> None:
        """Show a line in place of the last one; drops most calls that follow too fast.

        Args:
            text: shown from its beginning.
            phrase: follows it, with its end where there is no room for all.
            at_once: do not drop it.
        """
        now = time.monotonic()
        if not self.live or (now - self._last < _REDRAW_S and not at_once):
            return
        width = shutil.get_terminal_size().columns - 1
        line = (text + fitted(phrase, max(0, width - len(text))))[:width]
        if line == self._drawn:
            return
        self._last = now
        self._drawn = line
        self._stream.write(f"\r{line}\x1b[K")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = ""
            self._last = 0.0

    def note(self, text: str) -> None:
        """Say something in passing."""
        if not self._quiet:
            self._say(text)

    def error(self, text: str) -> None:
        """Say what went wrong, also when quiet."""
        self._say(f"tritone: {text}")

    def _say(self, text: str) -> None:
        self.clear()
        self._stream.write(text + "\n")
        self._stream.flush()

    def write(self, out: TextIO, text: str) -> None:
        """Write a result, at once."""
        if out.isatty():
            self.clear()
        out.write(text)
        out.flush()


def fitted(text: str, width: int) -> str:
    """The text, or as much of its end as fits: the newest words are at the end."""
    return text if len(text) <= width else ("…" + text[len(text) - width + 1 :] if width > 1 else "")


def bar(fraction: float, width: int = 20) -> str:
    """A progress bar, for example ``[#####...............]``."""
    filled = round(max(0.0, min(1.0, fraction)) * width)
    return f"[{'#' * filled}{'.' * (width - filled)}]"


def clock(seconds: float) -> str:
    """A length of time as minutes and seconds, for example ``1:05``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
