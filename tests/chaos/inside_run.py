"""One seeded schedule of faults inside one process, with invariants looked at after each."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from tritone_client import (
    Client,
    ConnectionFailed,
    Final,
    Options,
    ServerError,
    ServerFull,
    Timeouts,
    TritoneError,
    _waiting,
)

from tests.chaos.inside import IDLE_S, SPEED, InsideTransport, Server, engines, speech, threads
from tests.chaos.schedule import INSIDE, Strike, schedule

AUDIO = Path(__file__).resolve().parents[1] / "audio" / "asterisk-ru-basic-pbx-ivr-main.flac"
CALLS, STREAMS, SLOTS, EVENTS = 12, 6, 4, 4
PIECE = 4800
PACE_S = 0.03
HANG_S = 30.0
OTHERS_P99_S = 1.5
OPTIONS = Options(endpointing_ms=150, words=True, interim_results=True)
TIMEOUTS = Timeouts(request=40.0, admission=400.0, resume=400.0)


@dataclass
class Outcome:
    """What one schedule did.

    Attributes:
        strikes: faults by name.
        streams: calls that ran to their end; all of them had the undisturbed finals.
        finals: phrases compared.
        resumed: times a call was taken up again.
        refused: new streams turned away by the services.
        not_admitted: attempts to open a stream that the client gave up on; the caller tried again.
        others_s: latencies of requests to a server that nothing had struck.
    """

    strikes: Counter[str] = field(default_factory=Counter)
    streams: int = 0
    finals: int = 0
    resumed: int = 0
    refused: int = 0
    not_admitted: int = 0
    others_s: list[float] = field(default_factory=list)
    took_s: float = 0.0


class Broken(AssertionError):
    """An invariant does not hold."""


def essence(events) -> list[tuple]:
    finals = [event for event in events if isinstance(event, Final)]
    return [(one.text, one.start, one.end, tuple(word.word for word in one.words)) for one in finals]


@lru_cache
def calls() -> tuple[bytes, ...]:
    samples, _ = soundfile.read(AUDIO, dtype="int16")
    return tuple(speech(number, samples) for number in range(CALLS))


@contextlib.contextmanager
def fast_waits():
    """The client's waits pass at `SPEED`."""
    before = _waiting.now, _waiting.sleep
    _waiting.now = lambda: time.monotonic() * SPEED
    _waiting.sleep = lambda seconds: asyncio.sleep(seconds / SPEED)
    try:
        yield
    finally:
        _waiting.now, _waiting.sleep = before


class Run:
    def __init__(self, seed: int, expected: list[list[tuple]]) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.expected = expected
        self.outcome = Outcome()
        self.servers = [Server(f"inside:{i}", engine, SLOTS) for i, engine in enumerate(engines(), 1)]
        self.struck: set[str] = set()  # addresses that a fault concerned
        self.got: dict[int, list] = {}
        self.frozen: set[int] = set()
        self.ghosts: set[asyncio.Task] = set()

    def client(self) -> Client:
        by_address = {server.address: server for server in self.servers}
        addresses = list(by_address)
        self.rng.shuffle(addresses)
        return Client(addresses, timeout=TIMEOUTS, transport=lambda address: InsideTransport(by_address[address]))

    async def call(self, number: int, which: int) -> None:
        """One call to its end; every answer is timed."""
        audio, got = calls()[which], self.got.setdefault(number, [])
        async with self.client() as client, await self.opened(client) as opened:
            stream = opened.stream
            for begin in range(0, len(audio), PIECE):
                address, resumed = stream.address, stream.resumed
                asked = time.monotonic()
                got += await stream.send(audio[begin : begin + PIECE])
                if address not in self.struck and stream.resumed == resumed:
                    self.outcome.others_s.append(time.monotonic() - asked)
                self.check(number, which)
                await asyncio.sleep(PACE_S)
                while number in self.frozen:
                    await asyncio.sleep(0.05)
            got += await stream.finish()
            self.outcome.resumed += stream.resumed
        if essence(got) != self.expected[which]:
            raise Broken(f"seed {self.seed}, call {number}: {essence(got)} is not {self.expected[which]}")
        self.outcome.streams += 1
        self.outcome.finals += len(self.expected[which])

    async def opened(self, client: Client) -> contextlib.AsyncExitStack:
        """A stream that was admitted: until then an application may well be told that it was not."""
        while True:
            stack = contextlib.AsyncExitStack()
            try:
                stack.stream = await stack.enter_async_context(client.stream(OPTIONS))
            except (ConnectionFailed, ServerFull, ServerError):
                self.outcome.not_admitted += 1
                await asyncio.sleep(0.05)
            else:
                return stack

    def check(self, number: int, which: int) -> None:
        """What a call has so far is the beginning of what it must have in the end."""
        so_far = essence(self.got[number])
        if so_far != self.expected[which][: len(so_far)]:
            raise Broken(f"seed {self.seed}, call {number}: {so_far[-1:]} does not follow {self.expected[which]}")

    def check_servers(self) -> None:
        """No thread died, no slot is given twice or lost."""
        living = [server for server in self.servers if server.loop is not None]
        if len(threads()) < len(living):
            raise Broken(f"seed {self.seed}: a loop's thread ended")
        for server in living:
            table = server.loop._streams._table
            slots = [stream.slot for _, stream in table]
            if len(set(slots)) != len(slots) or len(slots) + table.free != SLOTS or len(table._free) != table.free:
                raise Broken(f"seed {self.seed}: slots {slots}, {table.free} free of {SLOTS}")

    async def strike(self, strike: Strike) -> None:
        server = self.servers[strike.target]
        self.outcome.strikes[strike.fault] += 1
        self.struck.add(server.address)
        await getattr(self, "do_" + strike.fault.replace("-", "_"))(server, strike.strength)
        self.check_servers()

    async def do_server_killed(self, server: Server, strength: float) -> None:
        await server.restart(down_s=0.3 * strength)

    async def do_batch_failed(self, server: Server, strength: float) -> None:
        server.engine.fail = 1

    async def do_out_of_memory(self, server: Server, strength: float) -> None:
        server.engine.error = MemoryError("CUDA out of memory")
        server.engine.fail = 1 + int(3 * strength)

    async def do_engine_broken(self, server: Server, strength: float) -> None:
        """Fails for ever: the process gives up, and the supervisor starts another."""
        server.engine.fail = 10**9
        deadline = time.monotonic() + 2.0
        while not server.broken and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        server.engine.fail = 0
        await server.restart()

    async def do_engine_stalled(self, server: Server, strength: float) -> None:
        server.engine.stall_s = 0.1 + 0.6 * strength

    async def do_client_vanished(self, server: Server, strength: float) -> None:
        """Streams begin, say something and are never heard of again."""

        async def ghost() -> None:
            async with self.client() as client:
                stream = client.stream(OPTIONS)
                stream.aclose = _nothing  # a killed process says no goodbye
                with contextlib.suppress(TritoneError):  # nobody is there to hear it
                    async with stream:
                        await stream.send(calls()[0][: 2 * PIECE])

        for _ in range(1 + int(2 * strength)):
            self.ghosts.add(asyncio.create_task(ghost()))

    async def do_client_frozen(self, server: Server, strength: float) -> None:
        """A call pauses for longer than the service waits for it."""
        number = self.rng.randrange(STREAMS)
        self.frozen.add(number)
        await asyncio.sleep(IDLE_S + 0.6 + 0.5 * strength)
        self.frozen.discard(number)

    async def do_request_lost(self, server: Server, strength: float) -> None:
        server.lose_requests = 1 + int(3 * strength)

    async def do_answer_lost(self, server: Server, strength: float) -> None:
        server.lose_answers = 1 + int(3 * strength)

    async def do_network_cut(self, server: Server, strength: float) -> None:
        server.cut = True
        await asyncio.sleep(0.2 + strength)
        server.cut = False

    async def do_network_slow(self, server: Server, strength: float) -> None:
        server.delay_s = 0.02 + 0.1 * strength
        await asyncio.sleep(0.5)
        server.delay_s = 0.0

    async def do_drain_and_restart(self, server: Server, strength: float) -> None:
        """A rolling restart: streams may finish for a while, then move, then the server comes back."""
        if server.loop is None:
            return
        await server.drain("begin")
        deadline = time.monotonic() + 0.5 * strength
        while await server.drain("begin") and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        await server.drain("end")
        deadline = time.monotonic() + 5.0
        while await server.drain("end"):
            if time.monotonic() > deadline:
                raise Broken(f"seed {self.seed}: a drain does not end")
            await asyncio.sleep(0.05)
        await server.restart()

    async def do_overload(self, server: Server, strength: float) -> None:
        """More calls at once than there are slots in all: they wait for one, and the others go on."""

        async def late() -> None:
            number = len(self.got) + 100
            await self.call(number, number % CALLS)

        for _ in range(2 + int(2 * strength)):
            self.ghosts.add(asyncio.create_task(late()))

    async def run(self) -> Outcome:
        began = time.monotonic()
        for server in self.servers:
            await asyncio.to_thread(server.start)
        strikes = schedule(self.seed, INSIDE, EVENTS)
        tasks = [asyncio.create_task(self.call(n, self.rng.randrange(CALLS))) for n in range(STREAMS)]
        try:
            for strike in strikes:
                await asyncio.sleep(max(0.0, began + 1.6 * strike.at - time.monotonic()))
                await self.strike(strike)
                for task in tasks:
                    if task.done():
                        task.result()
            async with asyncio.timeout(HANG_S):
                await asyncio.gather(*tasks, *self.ghosts)
            await self.slots_return()
        finally:
            for task in [*tasks, *self.ghosts]:
                task.cancel()
            await asyncio.gather(*tasks, *self.ghosts, return_exceptions=True)
            for server in self.servers:
                if server.loop is not None:
                    self.outcome.refused += sum(server.loop.counters.refused.values())
                await server.kill()
        self.outcome.took_s = time.monotonic() - began
        if self.outcome.others_s and float(np.percentile(self.outcome.others_s, 99)) > OTHERS_P99_S:
            raise Broken(f"seed {self.seed}: others waited {max(self.outcome.others_s):.2f} s")
        return self.outcome

    async def slots_return(self) -> None:
        deadline = time.monotonic() + IDLE_S + 3.0
        while any(len(server.loop._streams) for server in self.servers if server.loop is not None):
            if time.monotonic() > deadline:
                raise Broken(f"seed {self.seed}: slots do not come back")
            await asyncio.sleep(0.05)
        self.check_servers()


async def _nothing() -> None:
    pass


async def undisturbed() -> list[list[tuple]]:
    """The finals of each call, alone on a server that nothing happens to."""
    server = Server("inside:9", engines()[0], 1)
    await asyncio.to_thread(server.start)
    found = []
    patient = Timeouts(request=400.0)
    async with Client(server.address, timeout=patient, transport=lambda address: InsideTransport(server)) as client:
        for audio in calls():
            async with client.stream(OPTIONS) as stream:
                events = await stream.send(audio)
                found.append(essence(events + await stream.finish()))
    await server.kill()
    if sum(map(len, found)) < 2 * CALLS:
        raise Broken(f"the calls have too few phrases to show anything: {found}")
    return found


_expected: list[list[tuple]] = []


def run_inside(seed: int) -> Outcome:
    """Run one schedule. Raises Broken when an invariant does not hold, TimeoutError when something hangs."""
    with fast_waits():
        if not _expected:
            _expected.extend(asyncio.run(undisturbed()))
        return asyncio.run(Run(seed, _expected).run())
