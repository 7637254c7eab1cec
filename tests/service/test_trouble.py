"""Every trouble is counted, and told in one line with the stream it concerns and a cause that a person understands."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException
from tritone_backend.profiling.names import CAUSES

from tests.chaos.obedient import order
from tests.chaos.outside import IDLE_S, SLOTS, Served
from tests.service.raw import Raw, new_id

pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.timeout(120)]
CHUNK = bytes(4800)


class Watched(Served):
    """A server whose engine fails on command, whose answers wait for no search, and whose log is read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, final_deadline_ms=1, partial_deadline_ms=0)

    async def eventually(self, what: Callable[[], object]) -> None:
        """Metrics are half a second old, log lines are written beside the answers."""
        deadline = time.monotonic() + 15
        while not await asyncio.to_thread(what):
            assert time.monotonic() < deadline, f"{self.lines}\n{self.log()[-3000:]}"
            await asyncio.sleep(0.1)

    def log(self) -> str:
        return "".join(path.read_text() for path in (self.folder / "run").glob("*.log"))

    async def told(self, counter: str, stream: int, kind: str, trouble: Callable[[], Awaitable[object]]) -> None:
        """Cause a trouble; the counter must rise and the log must say whose stream it was, and why."""
        before = self.metric(counter)
        await trouble()
        await self.eventually(lambda: self.metric(counter) > before)
        await self.log_tells(stream, kind)

    async def log_tells(self, stream: int | str, kind: str) -> None:
        """A line of the log must name the trouble, the stream and the cause."""
        event, _, reason = kind.partition(" ")
        line = rf"tritone: event={event} stream={stream} " + (f"reason={reason} " if reason else "")
        cause = re.escape(CAUSES.get(kind) or CAUSES[event])
        await self.eventually(lambda: re.search(line + r'.*cause=\\?"' + cause, self.log()))


async def test_each_kind_of_trouble(tmp_path, recordings):
    server = Watched(tmp_path)
    await asyncio.to_thread(server.start)
    try:
        async with Raw(f"127.0.0.1:{server.grpc_port}") as raw:
            await _trouble(server, raw, recordings["asterisk-ru-conf-invalid"])
        before = server.server().pid
        server.stub("streaming_acoustic").kill()
        await server.eventually(lambda: any("event=restart reason=model-process-died" in line for line in server.lines))
        await server.eventually(lambda: any("event=ready attempt=1" in line for line in server.lines))
        assert server.metric("tritone_restarts_total") == 1
        assert server.server().pid != before
    finally:
        await asyncio.to_thread(server.stop)


async def _trouble(server: Watched, raw: Raw, speech: np.ndarray) -> None:
    async def refuse(stream: int) -> None:
        with pytest.raises(InferenceServerException, match=r"\[tritone:"):
            await raw.audio(stream, CHUNK, start=True)

    slow, lost, silent, one_more = (new_id() for _ in range(4))
    callers: list[int] = []

    async def overtaken(counter: str, audio: bytes) -> None:
        """Everyone speaks at once until an answer went before its search was done: no single try makes that certain."""
        before = server.metric(counter)
        for _ in range(20):
            callers.extend(together := [new_id() for _ in range(SLOTS)])
            await asyncio.gather(*(raw.audio(stream, audio, start=True) for stream in together))
            await asyncio.gather(*(raw.audio(stream, end=True) for stream in together))
            await asyncio.sleep(0.6)  # metrics are half a second old
            if server.metric(counter) > before:
                return
        pytest.fail(f"{counter} did not rise")

    # Half a phrase goes on, so its answers are partials alone; a whole one ends.
    await overtaken("tritone_late_partials_total", speech[: len(speech) // 2].tobytes())
    await overtaken("tritone_degraded_total", speech.tobytes())
    await server.log_tells(f"(?:{'|'.join(map(str, callers))})", "degraded deadline")

    await raw.audio(slow, CHUNK, start=True)

    async def stall() -> None:
        order(server.command, "stall 0.5")
        await raw.audio(slow, CHUNK)

    await server.told("tritone_late_total", slow, "late", stall)
    await server.told("tritone_late_batches_total", slow, "late-batch", stall)
    await raw.audio(slow, end=True)

    async def fail() -> None:
        order(server.command, "fail 1")
        with pytest.raises(InferenceServerException, match="tritone:internal"):
            await raw.audio(lost, CHUNK)

    for counter, kind in (
        ("tritone_failed_total", "failed internal"),
        ("tritone_failed_batches_total", "batch-failed"),
    ):
        await raw.audio(lost, CHUNK, start=True)
        await server.told(counter, lost, kind, fail)
        lost = new_id()

    others = [new_id() for _ in range(SLOTS - 1)]
    for stream in (silent, *others):
        await raw.audio(stream, CHUNK, start=True)
    await server.told("tritone_refused_total", one_more, "refused full", lambda: refuse(one_more))

    async def wait() -> None:
        for _ in range(round((IDLE_S + 2.0) / 0.5)):
            await asyncio.sleep(0.5)
            await asyncio.gather(*(raw.audio(stream, CHUNK) for stream in others))

    await server.told("tritone_reaped_total", silent, "reaped", wait)
    for stream in others:
        await raw.audio(stream, end=True)
