"""Ctrl-C and SIGTERM while a command runs in the event loop: the command is cancelled and cleans up.

What an interrupted command still prints is its own matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any


class Interrupted(Exception):  # noqa: N818 - not an error: the user asked for it
    """The command was cancelled by a signal."""


async def until_interrupted(work: Coroutine[Any, Any, None]) -> None:
    """Run something; a signal cancels it.

    Raises:
        Interrupted: after the work has been cancelled by a signal.
    """
    task = asyncio.ensure_future(work)
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    with on_interrupt(stop):
        try:
            await task
        except asyncio.CancelledError:
            if stopped:
                raise Interrupted from None
            raise


@contextlib.contextmanager
def on_interrupt(handler: Callable[[], object]) -> Iterator[None]:
    """Call `handler` in the event loop on SIGINT and SIGTERM instead of raising KeyboardInterrupt somewhere."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
