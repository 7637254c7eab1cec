"""Whether new streams are let in: room, pace, a drain. Decides and explains; counts nothing and holds no streams."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from tritone_backend.errors import Code, StreamError
from tritone_backend.headroom import Headroom
from tritone_backend.pace import Pace

RETRY_AFTER_S = 2.0
DRAIN, ADMIN_KEY = "drain", "admin_key"
"""Parameters of a START request that controls a drain: what to do, and the secret that allows it."""


class Gate:
    """Open, too full, too slow, or closed by a drain.

    A drain comes as a START request like any other, so that it needs no port of its own, works through TLS and
    balancers, and is answered with what it led to: the refusal that every other new stream gets from then on.

    Attributes:
        headroom: how long chunks waited of late.
        pace: how long batches take.
        draining: no new streams.
        ending: running streams are to be ended as well.
    """

    def __init__(self, capacity: int, chunk_seconds: float, max_batch: int, *, measured: bool, admin_key: str) -> None:
        """Begin open.

        Args:
            capacity: slots.
            chunk_seconds: length of a chunk.
            max_batch: most chunks a batch takes.
            measured: whether to refuse streams for which there is a slot and no time.
            admin_key: secret of whoever may drain; empty: nobody may.
        """
        self.headroom = Headroom(chunk_seconds)
        self.pace = Pace(chunk_seconds, max_batch)
        self.draining = False
        self.ending = False
        self._capacity = capacity
        self._measured = measured
        self._admin_key = admin_key.encode()

    def refusal(self, live: int, now: float) -> StreamError | None:
        """Why a new stream would be turned away now, beside ``live`` ones; None when it would not."""
        again = f"try again in {RETRY_AFTER_S:g} s"
        if self.draining:
            return StreamError(
                Code.DRAINING,
                f"this server takes no new streams, {live} of its own still run: go to another server, or {again}",
                retry_after_s=RETRY_AFTER_S,
                live=live,
            )
        if live >= self._capacity:
            return StreamError(
                Code.FULL,
                f"no free slot: {live} of {self._capacity} are taken; {again} or raise --max-streams",
                retry_after_s=RETRY_AFTER_S,
            )
        if not self._measured or not live:
            return None
        if self.headroom.overloaded(now):
            return self._overloaded(f"this machine is late with the {live} streams it has; {again}")
        room = self.pace.room(now)
        if room is not None and live >= room:
            return self._overloaded(f"this machine would be late with more than the {live} streams it has; {again}")
        return None

    def control(self, parameters: Mapping[str, Any]) -> str:
        """Obey a request that controls a drain.

        Args:
            parameters: of a START request with `DRAIN`: ``begin`` turns new streams away, ``end`` ends running ones
                as well, ``undo`` opens again.

        Returns:
            The word for the log.

        Raises:
            StreamError: ``bad-option``: no such action, or the secret is missing or wrong.
        """
        action = parameters[DRAIN]
        given = str(parameters.get(ADMIN_KEY, "")).encode()
        if not self._admin_key or not hmac.compare_digest(given, self._admin_key):
            raise StreamError(
                Code.BAD_OPTION, "a drain needs the admin key of this server: run 'tritone drain' where it was started"
            )
        if action not in ("begin", "end", "undo"):
            raise StreamError(Code.BAD_OPTION, f"drain must be begin, end or undo, not {action!r:.40}")
        self.draining = action != "undo"
        self.ending = action == "end"
        return {"begin": "drain", "end": "drain-end", "undo": "undrain"}[str(action)]

    @staticmethod
    def _overloaded(message: str) -> StreamError:
        return StreamError(Code.FULL, message, retry_after_s=RETRY_AFTER_S, reason="overloaded")
