"""SIGUSR2 as a question that the batch loop asks now and then. What it means is decided by whoever asks."""

from __future__ import annotations

import os
import signal


class DumpSignal:
    """Notices SIGUSR2 although the main thread sleeps inside Triton, where Python's own handlers would not run."""

    def __init__(self) -> None:
        """Install the handler. Raises ValueError outside the main thread."""
        self._read_end, write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(write_end, False)
        signal.signal(signal.SIGUSR2, lambda number, frame: None)
        # The interpreter's C handler writes the signal's number here at once, whatever its threads do.
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)

    def taken(self) -> bool:
        """Whether the signal came since the last call."""
        try:
            return signal.SIGUSR2 in os.read(self._read_end, 4096)
        except BlockingIOError:
            return False
