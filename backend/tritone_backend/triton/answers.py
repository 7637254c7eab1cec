"""How requests of one `execute` call are answered: together when it returns, or later one by one. No audio, no loop.

Answers that `execute` returns travel to Triton in one message. One that is sent by itself is a round trip of its own,
so only what one network step could not finish goes that way: long requests, and more streams than a batch takes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic

from tritone_backend.errors import StreamError
from tritone_backend.profiling.stagetimes import StageTimes
from tritone_backend.streams import ResultT

SENDERS = 4
"""Threads that send single answers: each is a round trip that the batch loop need not wait for."""


class Answer(Generic[ResultT]):
    """The answer to one request; called once, when it is known."""

    __slots__ = ("_known", "_lock", "_outlet", "_owner", "request")

    def __init__(self, owner: Answers[ResultT], request: Any) -> None:
        self.request = request
        self._owner = owner
        self._known: tuple[ResultT | StreamError, StageTimes] | None = None
        self._outlet: tuple[Any, set[str]] | None = None
        self._lock = threading.Lock()

    def __call__(self, result: ResultT | StreamError, stages: StageTimes) -> None:
        """Take the result, from any thread."""
        with self._lock:
            if self._outlet is None:
                self._known = (result, stages)
                return
        self._owner.send(*self._outlet, result, stages)

    def postpone(self) -> None:
        """Keep what is needed to answer after `execute` has returned; Triton's request is not valid for longer."""
        with self._lock:
            if self._known is None and self._outlet is None:
                self._outlet = self.request.get_response_sender(), self.request.requested_output_names()

    def response(self) -> Any:
        """Triton's response, or None when it comes later."""
        if self._known is None:
            return None
        return self._owner.respond(self.request.requested_output_names(), *self._known)

    def send(self) -> None:
        """Send an answer that is known by itself, because its `execute` will not return."""
        if self._known is not None:
            (result, stages), self._known = self._known, None
            self.postpone()
            self(result, stages)


class Answers(Generic[ResultT]):
    """Answers to one `execute` call after the other, as Triton calls it.

    Args:
        respond: makes Triton's response from the outputs wanted, the result and the stage times; never raises.
        final: Triton's flag for the last response of a request.
        log_error: takes a line about an answer that could not be sent.
    """

    def __init__(
        self,
        respond: Callable[[set[str], ResultT | StreamError, StageTimes], Any],
        final: int,
        log_error: Callable[[str], None],
    ) -> None:
        self.respond = respond
        self._final = final
        self._log_error = log_error
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="sender")
        self._open: list[Answer[ResultT]] = []
        self._stepped = threading.Lock()

    def begin(self) -> None:
        """An `execute` call begins."""
        self._open = []
        self._stepped.acquire(blocking=False)  # held until the loop has made its step

    def to(self, request: Any) -> Answer[ResultT]:
        """The answer to a request of this call, in their order."""
        answer = Answer(self, request)
        self._open.append(answer)
        return answer

    def stepped(self) -> None:
        """The loop made a step after it took this call's requests; what is not answered by now comes later."""
        for answer in self._open:
            answer.postpone()
        self._stepped.release()

    def postpone(self) -> None:
        """Nobody waits: all answers of this call come later, one by one."""
        for answer in self._open:
            answer.postpone()
        self._stepped.release()

    def wait(self) -> None:
        """Wait for `stepped`."""
        self._stepped.acquire()

    def responses(self) -> list[Any]:
        """What `execute` returns: a response, or None, for each request."""
        return [answer.response() for answer in self._open]

    def send(self, sender: Any, wanted: set[str], result: ResultT | StreamError, stages: StageTimes) -> None:
        """Send one answer beside all others; returns at once."""
        self._pool.submit(self._send, sender, wanted, result, stages)

    def close(self) -> None:
        """Send what is known and end the threads."""
        for answer in self._open:
            answer.send()
        self._pool.shutdown()

    def _send(self, sender: Any, wanted: set[str], result: ResultT | StreamError, stages: StageTimes) -> None:
        try:
            sender.send(self.respond(wanted, result, stages), flags=self._final)
        except Exception as error:  # everyone else's answers must go on
            self._log_error(f"tritone: an answer could not be sent: {error!r:.300}")
