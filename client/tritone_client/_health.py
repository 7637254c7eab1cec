"""What a client knows of its addresses: which are worth trying first, and when to look again at the others.

Only remembers and asks; who is tried, and what follows from a failure, is decided in `_stream`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence

from tritone_client import _waiting
from tritone_client._errors import ConnectionFailed, ServerError, ServerFull, TritoneError
from tritone_client._transport import Transport

_FIRST_S = 1.0
_LONGEST_S = 30.0
_CHECK_S = 2.0


class Health:
    """The state of several services that stand in for one another, shared by all streams of a client.

    A service that refused is not asked first again before the time it named. One that did not answer is asked whether
    it is ready, beside the streams and with growing pauses, and preferred again once it says so: a new call does not
    have to wait for the time limit of a request to a machine that is gone.
    """

    def __init__(self) -> None:
        self._closed_until: dict[str, float] = {}
        self._down: dict[str, tuple[float, float]] = {}  # when to look again, and the pause after that
        self._tasks: set[asyncio.Task[None]] = set()

    def usable(self, address: str) -> bool:
        """Whether nothing speaks against trying it first."""
        return address not in self._down and self._closed_until.get(address, 0.0) <= _waiting.now()

    def order(self, transports: Sequence[Transport]) -> list[Transport]:
        """The same ones: first those that are usable, else in their order."""
        return sorted(transports, key=lambda transport: not self.usable(transport.address))

    def served(self, address: str) -> None:
        """It answered a request."""
        self._down.pop(address, None)
        self._closed_until.pop(address, None)

    def failed(self, address: str, error: TritoneError) -> None:
        """It did not do what was asked."""
        if isinstance(error, ServerFull):
            self._down.pop(address, None)  # it lives
            self._closed_until[address] = _waiting.now() + error.retry_after_s
        elif isinstance(error, ConnectionFailed | ServerError) and address not in self._down:
            self._down[address] = (_waiting.now() + _FIRST_S, _FIRST_S)

    def look(self, transports: Sequence[Transport]) -> None:
        """Ask those that did not answer, where it is time to, in tasks of their own. Needs a running event loop."""
        for transport in transports:
            due, pause_s = self._down.get(transport.address, (float("inf"), 0.0))
            if due <= _waiting.now():
                longer_s = min(2 * pause_s, _LONGEST_S) * (0.75 + random.random() / 2)  # noqa: S311 - spread only
                self._down[transport.address] = (_waiting.now() + longer_s, longer_s)
                self.keep(asyncio.create_task(self._check(transport)))

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold on to a task that nobody waits for, until it is done or the client is closed."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop looking, and what else is kept."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _check(self, transport: Transport) -> None:
        with contextlib.suppress(TritoneError):
            if await transport.ready(_CHECK_S):
                self._down.pop(transport.address, None)
