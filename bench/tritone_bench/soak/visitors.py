"""Callers beside the load who bring what its steady connections lack: new connections, and departures without a word.

The load's streams share one connection. A visitor opens its own, says one chunk of a call, ends it and hangs up; one in
`VANISH_EVERY` hangs up without ending it, so that its slot must be taken back at the idle limit.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass

from tritone_bench import kserve
from tritone_bench.calls import CHUNK_BYTES
from tritone_bench.errors import ServiceError
from tritone_bench.http2 import Http2Connection
from tritone_bench.reference import ask

VISIT_S = 1.0
VANISH_EVERY = 30
TIMEOUT_S = 10.0


@dataclass
class Guests:
    """What became of the visitors.

    Attributes:
        served: got an answer and ended their call.
        vanished: got an answer and hung up without a word.
        refused: were refused with a type.
        failed: got another error, or no answer.
        error: the last of these.
    """

    served: int = 0
    vanished: int = 0
    refused: int = 0
    failed: int = 0
    error: str = ""


class Visitors:
    """Visits in a thread of its own as long as the block lasts, and until `stop`."""

    def __init__(self, host: str, port: int, every_s: float = VISIT_S, vanish_every: int = VANISH_EVERY) -> None:
        self._target = (host, port)
        self._every_s = every_s
        self._vanish_every = vanish_every
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="visitors", daemon=True)
        self.guests = Guests()

    def __enter__(self) -> Visitors:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No more visits; returns when the last one is over."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        due = time.monotonic()
        while True:
            due = max(due + self._every_s, time.monotonic())
            if self._done.wait(due - time.monotonic()):
                return
            number += 1
            try:
                self._visit(vanish=number % self._vanish_every == 0)
            except ServiceError as error:
                self.guests.failed += 1
                self.guests.error = error.user_message

    def _visit(self, *, vanish: bool) -> None:
        connection: Http2Connection[None] = Http2Connection(*self._target, kserve.METHOD)
        try:
            message = kserve.chunk(bytes(CHUNK_BYTES)) + kserve.identity(secrets.randbits(62) + 1) + kserve.START
            answer = ask(connection, message + (b"" if vanish else kserve.END) + kserve.EVENTS_ONLY, TIMEOUT_S)
        finally:
            connection.close()
        if not answer.status:
            self.guests.vanished += vanish
            self.guests.served += not vanish
        elif "[tritone:full" in answer.message:
            self.guests.refused += 1
        else:
            self.guests.failed += 1
            self.guests.error = answer.message or f"gRPC status {answer.status}"
