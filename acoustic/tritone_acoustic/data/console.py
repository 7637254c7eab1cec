"""Progress lines of the data and training commands.

One function; the log of a background run is made of these lines.
"""

from __future__ import annotations

import sys
import time

_START = time.monotonic()


def say(message: str) -> None:
    """Prints one progress line with the seconds since the process started.

    Args:
        message: what is going on.
    """
    sys.stdout.write(f"{time.monotonic() - _START:7.1f} s  {message}\n")
    sys.stdout.flush()
