"""How long to wait before the next attempt, and when to give up.

Knows nothing of what is attempted; `_stream` does.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
now: Callable[[], float] = time.monotonic

_FIRST_S = 0.1
_LONGEST_S = 2.0
# A service that just freed slots must not be asked by all who wait for one in the same instant.
_JITTER = 0.25


class Patience:
    """Waits between attempts, longer each time, within a total.

    Args:
        total_s: seconds from now after which no further attempt begins.
    """

    def __init__(self, total_s: float) -> None:
        self._deadline = now() + total_s
        self._next_s = _FIRST_S

    async def wait(self, at_least_s: float = 0.0) -> bool:
        """Wait until the next attempt is due.

        Args:
            at_least_s: what a service asked for.

        Returns:
            False, at once, when the attempt would come too late.
        """
        delay_s = max(at_least_s, self._next_s)
        if now() + delay_s > self._deadline:
            return False
        self._next_s = min(2 * self._next_s, _LONGEST_S)
        await sleep(delay_s * (1 + random.random() * _JITTER))  # noqa: S311 - spread, not secrecy
        return True
