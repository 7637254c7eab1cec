"""When a failed server is started again and when it is given up: pure arithmetic over times handed in.

Noticing failures and starting servers is the work of `supervisor`.
"""

from __future__ import annotations

FIRST_DELAY_S = 1.0
MAX_DELAY_S = 30.0
HEALTHY_S = 60.0
MAX_RAPID_FAILURES = 8


class RestartPolicy:
    """Exponential back-off: 1, 2, 4 .. 30 s, forgotten after 60 s of health."""

    def __init__(self) -> None:
        self.failures = 0

    def failed(self, healthy_s: float) -> float | None:
        """Records a failure.

        Args:
            healthy_s: how long the server had been ready; 0 when it never was.

        Returns:
            Seconds to wait before the next start, or None when it is to be given up.
        """
        if healthy_s >= HEALTHY_S:
            self.failures = 0
        self.failures += 1
        if self.failures > MAX_RAPID_FAILURES:
            return None
        return float(min(FIRST_DELAY_S * 2 ** (self.failures - 1), MAX_DELAY_S))
