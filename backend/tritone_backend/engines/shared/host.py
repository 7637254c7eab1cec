"""The engine process: gathers the batches of all model processes, steps them together, hands the log-probs back.

    python -m tritone_backend.engines.shared.host SOCKET --model DIR --engine NAME --slots N

It knows neither streams nor requests. While a GPU works on one batch the next one is gathered.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import socket
import sys
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_backend.engines.base import Engine
from tritone_backend.engines.choose import create_engine
from tritone_backend.engines.shared.area import DONE, FAILED, RING, Area, area_bytes
from tritone_backend.errors import BackendError
from tritone_backend.models.registry import find_model

MESSAGE = 4096
PEERS = 256
LAST_WORDS_S = 10.0


class Member:
    """One model process; its area exists from the moment it has said what it needs."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.area: Area | None = None

    @property
    def mapped(self) -> Area:
        """The area of a process that has rung."""
        assert self.area is not None
        return self.area


class Host:
    """The loop over one engine whose slots are allocated.

    Args:
        engine: with ``slots`` slots.
        reason: which engine it is and why.
        slots: to be handed out.
        most: rows of one step.
        listener: where model processes come.
    """

    def __init__(self, engine: Engine, reason: str, slots: int, most: int, listener: socket.socket) -> None:
        self._engine, self._reason = engine, reason
        self._slots, self._given = slots, 0
        self._most = most
        self._runner: Any = getattr(engine, "runner", None)  # GPU engines can have two steps under way
        self._side_by_side = 2 if self._runner else 1
        self._listener = listener
        self._members: dict[int, Member] = {}
        self._poll = select.poll()
        self._poll.register(listener.fileno(), select.POLLIN)
        self._waiting: deque[Member] = deque()
        self._under_way: deque[tuple[list[Member], Any]] = deque()
        self._signal = np.zeros((most, engine.spec.chunk_samples), np.int16)
        self._rows = np.zeros(most, np.int32)
        self._fresh = np.zeros(most, np.bool_)

    def run(self) -> None:
        """Work until a model process ends: the server then starts anew, and so does this."""
        while self.turn():
            pass

    def close(self) -> None:
        """Leave all model processes; a step that waits for an answer fails."""
        for member in self._members.values():
            member.socket.close()

    def turn(self) -> bool:
        """Listen, begin a step if there is anything to do, finish the oldest one; False when a process has ended."""
        idle = not self._waiting and not self._under_way
        for descriptor, _ in self._poll.poll(None if idle else 0):
            if descriptor == self._listener.fileno():
                connection, _ = self._listener.accept()
                self._members[connection.fileno()] = Member(connection)
                self._poll.register(connection.fileno(), select.POLLIN)
            elif not self._hear(self._members[descriptor]):
                return False
        if self._waiting and len(self._under_way) < self._side_by_side:
            self._begin()
        if self._under_way and (len(self._under_way) == self._side_by_side or not self._waiting):
            self._finish()
        return True

    def _hear(self, member: Member) -> bool:
        message = member.socket.recv(MESSAGE)
        if message == RING:
            self._waiting.append(member)
        elif message:
            self._welcome(member, json.loads(message))
        return bool(message)

    def _welcome(self, member: Member, wishes: dict[str, int]) -> None:
        """Give a model process its slots and its area."""
        first, batch = self._given, wishes["max_batch"]
        if first + wishes["slots"] > self._slots or batch > self._most:
            refusal = f"the engine process has {self._slots - first} slots left and steps of {self._most}"
            member.socket.send(json.dumps({"error": refusal}).encode())
            return
        self._given += wishes["slots"]
        descriptor = os.memfd_create("tritone-area")
        os.ftruncate(descriptor, area_bytes(self._engine.spec, batch))
        member.area = Area(descriptor, self._engine.spec, batch)
        answer = {"first": first, "reason": f"{self._reason}, in a process of its own"}
        socket.send_fds(member.socket, [json.dumps(answer).encode()], [descriptor])
        os.close(descriptor)

    def _begin(self) -> None:
        """Start a step with as many of those who wait as fit."""
        members: list[Member] = []
        rows = 0
        while self._waiting:
            area = self._waiting[0].mapped
            size = int(area.size[0])
            if rows + size > self._most:
                break
            self._signal[rows : rows + size] = area.signal[:size]
            self._rows[rows : rows + size] = area.slots[:size]
            self._fresh[rows : rows + size] = area.fresh[:size]
            members.append(self._waiting.popleft())
            rows += size
        batch = self._signal[:rows], self._rows[:rows], self._fresh[:rows]
        try:
            ticket = self._runner.submit(*batch) if self._runner else self._engine.step(*batch)
        except Exception as error:  # whatever it was, those streams' state is lost, and only theirs
            self._fail(members, error)
        else:
            self._under_way.append((members, ticket))

    def _finish(self) -> None:
        """Wait for the oldest step and hand its log-probs out."""
        members, ticket = self._under_way.popleft()
        try:
            logprobs: NDArray[np.float32] = self._runner.collect(ticket) if self._runner else ticket
        except Exception as error:  # see above
            self._fail(members, error)
            return
        rows = 0
        for member in members:
            area = member.mapped
            size = int(area.size[0])
            area.logprobs[:size] = logprobs[rows : rows + size]
            rows += size
            member.socket.send(DONE)

    @staticmethod
    def _fail(members: Sequence[Member], error: Exception) -> None:
        reason = f"the engine failed: {str(error).splitlines()[0] if str(error) else repr(error):.200}"
        for member in members:
            member.socket.send(FAILED + reason.encode())


def refuse(listener: socket.socket, reason: str) -> None:
    """Tell every model process why there is no engine, as long as any comes."""
    listener.settimeout(LAST_WORDS_S)
    refused = []
    try:
        while True:
            connection, _ = listener.accept()
            connection.settimeout(LAST_WORDS_S)
            connection.recv(MESSAGE)
            connection.send(json.dumps({"error": reason}).encode())
            refused.append(connection)  # open until this process ends, so that the answer is read
    except OSError:
        return


def main(words: Sequence[str]) -> int:
    """Run an engine for the model processes of one server until one of them ends."""
    parser = argparse.ArgumentParser(prog="tritone-engine")
    parser.add_argument("socket")
    parser.add_argument("--model", required=True)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--most", type=int, default=512, help="rows of one step")
    options = parser.parse_args(words)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # a question to all processes that hold streams
    os.umask(0o077)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(options.socket)
    listener.listen(PEERS)
    try:
        engine, reason = create_engine(
            options.engine, find_model(options.model), threads=options.threads, max_batch=options.most, spin=False
        )
        engine.allocate(options.slots)
    except BackendError as error:
        refuse(listener, error.user_message)
        return 1
    Host(engine, reason, options.slots, options.most, listener).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
