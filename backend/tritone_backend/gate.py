"""Whether new streams are let in: room, pace, a drain. Decides and explains; counts nothing and holds no streams."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from tritone_backend.board import Board, Door
from tritone_backend.errors import Code, StreamError
from tritone_backend.headroom import Headroom
from tritone_backend.limits import Limits
from tritone_backend.pace import Pace

RETRY_AFTER_S = 2.0
DRAIN, ADMIN_KEY = "drain", "admin_key"
"""Parameters of a START request that controls a drain: what to do, and the secret that allows it."""

_DOORS = {"begin": (Door.DRAINING, "drain"), "end": (Door.ENDING, "drain-end"), "undo": (Door.OPEN, "undrain")}


class Gate:
    """Open, too full, too slow, or closed by a drain.

    A drain comes as a START request like any other, so that it needs no port of its own, works through TLS and
    balancers, and is answered with what it led to: the refusal that every other new stream gets from then on.

    A server may run several processes, each with a gate: what one of them is told holds for all (`Board`).

    Attributes:
        headroom: how long chunks waited of late.
        pace: how long batches take.
        board: what is shared with the server's other processes.
    """

    def __init__(self, limits: Limits, chunk_seconds: float, board: Board | None = None) -> None:
        """Begin open.

        Args:
            limits: how much this process takes on, and whose word closes it.
            chunk_seconds: length of a chunk.
            board: of the server; None: this process is all there is.
        """
        self.board = board or Board.private()
        self.headroom = Headroom(chunk_seconds)
        self.pace = Pace(chunk_seconds, limits.max_batch)
        self._capacity = limits.max_streams
        self._measured = limits.measured
        self._admin_key = limits.admin_key.encode()

    @property
    def draining(self) -> bool:
        """No new streams."""
        return self.board.door is not Door.OPEN

    @property
    def ending(self) -> bool:
        """Running streams are to be ended as well."""
        return self.board.door is Door.ENDING

    def refusal(self, live: int, now: float) -> StreamError | None:
        """Why a new stream would be turned away now, beside ``live`` ones; None when it would not."""
        again = f"try again in {RETRY_AFTER_S:g} s"
        if self.draining:
            everywhere = self.board.live
            return StreamError(
                Code.DRAINING,
                f"this server takes no new streams, {everywhere} of its own still run: go to another, or {again}",
                retry_after_s=RETRY_AFTER_S,
                live=everywhere,
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
        given = str(parameters.get(ADMIN_KEY, "")).encode(errors="replace")
        if not self._admin_key or not hmac.compare_digest(given, self._admin_key):
            raise StreamError(
                Code.BAD_OPTION, "a drain needs the admin key of this server: run 'tritone drain' where it was started"
            )
        if action not in _DOORS:
            raise StreamError(Code.BAD_OPTION, f"drain must be begin, end or undo, not {action!r:.40}")
        self.board.door, event = _DOORS[action]
        return event

    @staticmethod
    def _overloaded(message: str) -> StreamError:
        return StreamError(Code.FULL, message, retry_after_s=RETRY_AFTER_S, reason="overloaded")
