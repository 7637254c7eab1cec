"""Emptying a running server: no new streams, running ones finish or are moved. Used by `tritone drain` and at a stop.

What the models do with it is `tritone_backend.gate`; this module asks them and counts what is left.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from tritone_backend.gate import ADMIN_KEY, DRAIN
from tritone_backend.serve.credentials import Credentials
from tritone_backend.serve.errors import ServeError
from tritone_backend.serve.probe import ASR, ask

POLL_S = 0.5
ASK_TIMEOUT_S = 5.0
ENDING_S = 15.0
"""How long requests that are in work when the streams are ended may take."""

_LIVE = re.compile(r"\[tritone:draining [^\]]*live=(\d+)\]")


@dataclass(frozen=True)
class Drained:
    """How a drain went.

    Attributes:
        emptied: every stream that ran at the beginning came to its own end.
        ended: streams that were ended; their clients resume them elsewhere.
        seconds: how long it took.
    """

    emptied: bool
    ended: int
    seconds: float


def drain(
    address: str,
    credentials: Credentials,
    timeout_s: float,
    on_wait: Callable[[int, float], None] = lambda live, seconds: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Drained:
    """Turn new streams away, wait for running ones, end those that are left after a time.

    Args:
        address: HOST:PORT of gRPC.
        credentials: of the server, with its admin secret.
        timeout_s: seconds that running streams are given.
        on_wait: called about twice a second with the number of live streams and the seconds waited.
        cancelled: leave at once when it turns true; the server stays as it is.

    Returns:
        How it went.

    Raises:
        ServeError: the server does not answer, or does not accept the secret.
    """
    began = time.monotonic()
    live = tell(address, credentials, "begin")
    ended = 0
    while live and not cancelled():
        waited = time.monotonic() - began
        on_wait(live, waited)
        if waited >= timeout_s:
            ended = live
            live = tell(address, credentials, "end")
            if waited > timeout_s + ENDING_S:
                break
        time.sleep(POLL_S)
        if not cancelled():
            live = tell(address, credentials, "end" if ended else "begin")
    return Drained(not live and not ended, ended, time.monotonic() - began)


def tell(address: str, credentials: Credentials, action: str) -> int:
    """Send ``begin``, ``end`` or ``undo`` and return how many streams live in all models of the server.

    One model tells all (`tritone_backend.board`). A model that knows no drains counts as empty.

    Raises:
        ServeError: it does not answer, or does not accept the secret.
    """
    parameters = {"probe": True, DRAIN: action, ADMIN_KEY: credentials.admin}
    answer, error = ask(address, ASR, parameters, ASK_TIMEOUT_S, credentials)
    found = _LIVE.search(error)
    if found:
        return int(found.group(1))
    if answer is None and not (action == "undo" and "[tritone:full" in error):  # open again, and full as before
        raise ServeError(f"{address}: {error}", exit_status=1)
    return 0
