"""The server's output: read without blocking it, kept in a capped file, searched for a failure's cause.

Nothing here starts or stops processes.
"""

from __future__ import annotations

import contextlib
import queue
import re
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO

MAX_FILE_BYTES = 8 * 2**20
KEPT_LINES = 400
WAITING_LINES = 10_000
WRITER_END_S = 1.0
DEAD_STUB = "is not healthy"

# Said by every healthy server on a machine without a GPU, or (the capsule) by every output sent by dlpack.
HARMLESS = re.compile(
    r"CudaDriverHelper has not been initialized|Failed to initialize NVML|DCGM unable to start"
    r"|Unable to allocate pinned system memory|PyCapsule_GetPointer|CUDA memory pool disabled"
)
_LEVEL = re.compile(r"^(?:([EWI])\d{4} |\S+Z ([EWI]) )")
_PREFIX = re.compile(r"^(?:[EWI]\d{4} \S+ \d+ \S+\]|\S+Z [EWI] \d+ \S+\])\s*")
_LOAD_FAILURE = re.compile(r"failed to load '([^']+)' version \d+: ([^:]+): (.*)")
_EXCEPTION_NAME = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception): ")
_ANNOUNCEMENT = re.compile(r"tritone: streaming_asr serves (.+) on (\w+) \((.*)\), \d+ slots")


class ServerLog:
    """Drains one server's output in a thread, for as long as the pipe is open; another one writes it down.

    Args:
        path: capped log file (one older part is kept as NAME.1); None keeps no file.
        echo: also write every line to stderr.
    """

    def __init__(self, path: Path | None, *, echo: bool = False) -> None:
        self.path = path
        self._echo = echo
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._writer: threading.Thread | None = None
        self._file: IO[bytes] | None = None
        self._written = 0
        self._waiting: queue.Queue[str | None] = queue.Queue(WAITING_LINES)
        self._left_out = 0
        self._announced: dict[str, str] = {}

    def follow(self, stream: IO[bytes]) -> None:
        """Starts reading; returns at once."""
        with self._lock:
            self._lines.clear()
            self._announced = {}
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_all, name="server-log-file", daemon=True)
            self._writer.start()
        self._thread = threading.Thread(target=self._drain, args=(stream,), name="server-log", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float = 2.0) -> None:
        """Waits until the last line of a server that has ended is read."""
        deadline = time.monotonic() + timeout_s
        if self._thread is not None:
            self._thread.join(timeout_s)
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def lines(self) -> list[str]:
        """The newest lines of the present server, harmless ones left out."""
        with self._lock:
            return list(self._lines)

    def announced(self) -> dict[str, str]:
        """What the speech model said of itself once loaded: its `model`, `engine` and the `reason` for it."""
        with self._lock:
            return dict(self._announced)

    def _drain(self, stream: IO[bytes]) -> None:
        """Empties the pipe as fast as the server fills it: a server whose pipe is full stands still."""
        with stream:
            for raw in stream:
                line = raw.decode("utf-8", "replace").rstrip()
                if line and not HARMLESS.search(line):
                    self._keep(line)
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=WRITER_END_S)

    def _keep(self, line: str) -> None:
        with self._lock:
            self._lines.append(line)
            match = _ANNOUNCEMENT.search(line)
            if match:
                self._announced = dict(zip(("model", "engine", "reason"), match.groups(), strict=True))
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self._left_out += 1

    def _write_all(self) -> None:
        """Passes lines on to file and terminal; a disk or a reader that is too slow costs lines and nothing else."""
        while True:
            line = self._waiting.get()
            left_out, self._left_out = self._left_out, 0
            if left_out:
                self._pass_on(f"tritone: {left_out} lines of the server are missing here: the disk is too slow")
            if line is not None:
                self._pass_on(line)
            elif self._file is not None:  # the server has ended
                self._file.close()
                self._file = None
            self._waiting.task_done()

    def _pass_on(self, line: str) -> None:
        if self._echo:
            print(line, file=sys.stderr, flush=True)  # noqa: T201
        if self.path is not None:
            try:
                self._write(line.encode() + b"\n", self.path)
            except OSError:
                self.path = None  # a full disk must not stop the server

    def _write(self, data: bytes, path: Path) -> None:
        if self._file is None:
            self._file = path.open("ab")
            self._written = self._file.tell()
        if self._written + len(data) > MAX_FILE_BYTES:
            self._file.close()
            path.replace(path.with_name(path.name + ".1"))
            self._file = path.open("wb")
            self._written = 0
        self._file.write(data)
        self._file.flush()
        self._written += len(data)


def failure_cause(lines: list[str]) -> str:
    """Finds in a server's last lines what made it fail.

    A model that did not load names the cause best; after it any error line, the first one, since later ones
    follow from it; at last the very last line.

    Args:
        lines: the server's output, oldest first.

    Returns:
        One line without Triton's prefix, never empty.
    """
    for index, line in enumerate(lines):
        match = _LOAD_FAILURE.search(line)
        if match:
            # Triton logs the exception's text with escaped line ends, the traceback behind it.
            cause = match.group(3).split("\\n")[0].strip().strip('"')
            if DEAD_STUB in cause:
                said = [other for other in lines[:index] if _level(other) is None and other[0] not in "+|"]
                cause = f"its process ended: {said[-1].strip() if said else 'it said nothing'}"
            told = _EXCEPTION_NAME.sub("", cause).removeprefix("tritone: ")
            return f"model {match.group(1)} did not load: {told}"
    errors = [line for line in lines if _level(line) == "E" or line.startswith("error:")]
    chosen = errors[0] if errors else (lines[-1] if lines else "it said nothing")
    return _PREFIX.sub("", chosen).split("\\n")[0].strip(' "')


def significant_lines(lines: list[str], count: int = 5) -> list[str]:
    """The last lines that may explain an end: errors, warnings, and what Triton did not format itself."""
    telling = [line for line in lines if _level(line) != "I" and not line.startswith(("+", "|"))]
    return telling[-count:]


def _level(line: str) -> str | None:
    match = _LEVEL.match(line)
    return (match.group(1) or match.group(2)) if match else None
