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

    async def told(self, counter: str, stream: int | str, kind: str, trouble: Callable[[], Awaitable[object]]) -> None:
        """Cause a trouble; the counter must rise and the log must say whose stream it was, and why."""
        event, _, reason = kind.partition(" ")
        before = self.metric(counter)
        await trouble()
        await self.eventually(lambda: self.metric(counter) > before)
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
    hurried = [new_id() for _ in range(SLOTS)]  # phrases that end in one batch: the last ones wait for the first

    async def hurry() -> None:
        await asyncio.gather(*(raw.audio(stream, speech.tobytes(), start=True, end=True) for stream in hurried))

    anyone = f"(?:{'|'.join(map(str, hurried))})"
    await server.told("tritone_degraded_total", anyone, "degraded deadline", hurry)

    talking, before = [new_id() for _ in range(SLOTS)], server.metric("tritone_late_partials_total")
    opening = speech[: len(speech) // 2].tobytes()  # they go on: partials alone, and one thread searches for all
    await asyncio.gather(*(raw.audio(stream, opening, start=True) for stream in talking))
    await server.eventually(lambda: server.metric("tritone_late_partials_total") > before)
    await asyncio.gather(*(raw.audio(stream, end=True) for stream in talking))

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
