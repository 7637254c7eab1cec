"""The engine as a model process sees it: fills its area, rings, waits. The network runs in the engine process."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from tritone_backend.engines.base import EngineTiming, Lane
from tritone_backend.engines.shared.area import DONE, RING, Area
from tritone_backend.errors import EngineError
from tritone_backend.spec import AcousticSpec

START_TIMEOUT_S = 900.0
STEP_TIMEOUT_S = 60.0
POLL_S = 0.05
MESSAGE = 4096
_BOARD_VARIABLE = "TRITONE_BOARD"


class SharedEngine:
    """Engine whose slots are some of those of the engine process.

    Args:
        spec: the model.
        address: path of the engine process's socket.
        max_batch: most rows of one step.
    """

    def __init__(self, spec: AcousticSpec, address: Path, max_batch: int) -> None:
        self.spec = spec
        self.name = "shared"
        self.reason = ""
        self.timing = EngineTiming(0.0, 0.0, 0.0)
        self._address, self._max_batch = address, max_batch
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._area: Area | None = None
        self._first = 0

    @property
    def lanes(self) -> Sequence[Lane]:
        """See :class:`Engine`: the engine process steps for all."""
        return (self,)

    def allocate(self, slots: int) -> None:
        """Join the engine process and wait until it is ready; see :class:`Engine`."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self._socket.connect(str(self._address))
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise EngineError(f"the engine process does not answer at {self._address}: {error}") from None
                time.sleep(POLL_S)
        self._socket.settimeout(START_TIMEOUT_S)
        self._socket.send(json.dumps({"slots": slots, "max_batch": self._max_batch}).encode())
        message, descriptors = self._receive_ready()
        answer = json.loads(message)
        if "error" in answer:
            raise EngineError(answer["error"])
        self._area = Area(descriptors[0], self.spec, self._max_batch)
        os.close(descriptors[0])
        self._first, self.reason = answer["first"], answer["reason"]
        self._socket.settimeout(STEP_TIMEOUT_S)

    def step(
        self,
        signal: NDArray[np.int16] | NDArray[np.int32],
        slots: NDArray[np.int32],
        fresh: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """See :class:`Engine`. Batches above ``max_batch`` are cut into several."""
        area, size = self._area, len(slots)
        if area is None:
            raise EngineError("the shared engine has no slots yet: allocate() comes first")
        if size > self._max_batch:
            cuts = [slice(at, at + self._max_batch) for at in range(0, size, self._max_batch)]
            return np.concatenate([self.step(signal[cut], slots[cut], fresh[cut]).copy() for cut in cuts])
        begin = perf_counter_ns()
        area.signal[:size] = signal
        np.add(slots, self._first, out=area.slots[:size])
        area.fresh[:size] = fresh
        area.size[0] = size
        filled = perf_counter_ns()
        try:
            self._socket.send(RING)
            answer = self._socket.recv(MESSAGE)
        except OSError as error:
            raise EngineError(f"the engine process does not answer: {error}") from None
        if answer != DONE:
            raise EngineError(answer[1:].decode() or "the engine process has ended")
        self.timing = EngineTiming((filled - begin) / 1e3, (perf_counter_ns() - filled) / 1e3, 0.0)
        return area.logprobs[:size]

    def close(self) -> None:
        """Leave; the engine process ends, and with it the engine of all others."""
        self._socket.close()

    def _receive_ready(self) -> tuple[bytes, list[int]]:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._socket, MESSAGE, 1)
        except OSError as error:
            raise EngineError(f"the engine process did not become ready: {error}") from None
        if not message:
            raise EngineError("the engine process ended while it started; the server's log says why")
        return message, descriptors


def engine_address() -> Path:
    """Where the engine process of this server listens: beside the server's board, else by the server's process id."""
    board = os.environ.get(_BOARD_VARIABLE)
    if board:
        return Path(board).with_name(Path(board).name.removesuffix("board") + "engine")
    return Path(tempfile.gettempdir()) / f"tritone-engine-{os.getppid()}"


def start_host(options: Sequence[str]) -> None:
    """Start the engine process beside this one; it ends when a model process does.

    Args:
        options: of `python -m tritone_backend.engines.shared.host`.
    """
    python = shutil.which("python3") or sys.executable  # inside Triton, sys.executable may be its stub
    with contextlib.suppress(FileNotFoundError):
        engine_address().unlink()
    subprocess.Popen(
        [python, "-m", "tritone_backend.engines.shared.host", str(engine_address()), *options],
        stdin=subprocess.DEVNULL,
    )
