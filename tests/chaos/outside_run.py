"""Schedules and the table of faults against real servers: real calls through the real client, checked and timed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import soundfile
from tritone_client import Client, Options, Timeouts

from tests.chaos.__main__ import keep, print_summary, quantiles
from tests.chaos.inside_run import Broken, essence
from tests.chaos.outside import ROOT, World
from tests.chaos.schedule import OUTSIDE, Strike, schedule

AUDIO = ROOT / "tests" / "audio" / "asterisk-ru-basic-pbx-ivr-main.flac"
CALLS = 6
PIECE, PACE_S = 4800, 0.15  # calls run at twice the speed of life
OPTIONS = Options(endpointing_ms=300, words=True)
TIMEOUTS = Timeouts(request=3.0, admission=60.0, resume=60.0)
HANG_S = 90.0


def calls() -> list[bytes]:
    """Six calls of 17 to 22 s."""
    samples, _ = soundfile.read(AUDIO, dtype="int16")
    return [samples[i * 4000 : i * 4000 + 8000 * (22 - i)].tobytes() for i in range(CALLS)]


class Scene:
    """Six calls, three on each server at first, and what happens to them."""

    def __init__(self, world: World, expected: list[list[tuple]]) -> None:
        self.world = world
        self.expected = expected
        self.struck: set[str] = set()
        self.struck_at = float("inf")
        self.others_s: list[float] = []
        self.waits_s: list[float] = []
        self.resumed = 0

    async def call(self, number: int) -> None:
        audio, got = calls()[number], []
        addresses = [server.address for server in self.world.servers]
        if number % 2:
            addresses.reverse()
        async with Client(addresses, timeout=TIMEOUTS) as client, client.stream(OPTIONS) as stream:
            began = time.monotonic()
            for index, begin in enumerate(range(0, len(audio), PIECE)):
                await asyncio.sleep(max(0.0, began + index * PACE_S - time.monotonic()))
                address, resumed, asked = stream.address, stream.resumed, time.monotonic()
                got += await stream.send(audio[begin : begin + PIECE])
                took = time.monotonic() - asked
                if stream.resumed > resumed:
                    self.waits_s.append(took)
                elif address not in self.struck and asked > self.struck_at:
                    self.others_s.append(took)
                so_far = essence(got)
                if so_far != self.expected[number][: len(so_far)]:
                    raise Broken(f"call {number}: {so_far[-1:]} does not follow {self.expected[number]}")
            got += await stream.finish()
            self.resumed += stream.resumed
        if essence(got) != self.expected[number]:
            raise Broken(f"call {number}: {essence(got)} is not {self.expected[number]}")

    async def run(self, strikes: list[Strike], lasting_s: float) -> None:
        """Run the calls beside the strikes, and wait until slots are back and servers ready."""
        tasks = [asyncio.create_task(self.call(number)) for number in range(CALLS)]
        began = time.monotonic()
        try:
            async with asyncio.timeout(HANG_S):
                for strike in strikes:
                    await asyncio.sleep(max(0.0, began + lasting_s * strike.at - time.monotonic()))
                    self.struck.add(self.world.servers[strike.target].address)
                    self.struck_at = min(self.struck_at, time.monotonic())
                    await self.world.strike(strike.fault, strike.target, strike.strength)
                    for task in tasks:
                        if task.done():
                            task.result()
                await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self.world.settled()


async def undisturbed(world: World) -> list[list[tuple]]:
    scene = []
    async with Client(world.servers[0].address) as client:
        for audio in calls():
            async with client.stream(OPTIONS) as stream:
                events = []
                for begin in range(0, len(audio), 10 * PIECE):
                    events += await stream.send(audio[begin : begin + 10 * PIECE])
                scene.append(essence(events + await stream.finish()))
    if min(map(len, scene)) < 3:
        raise Broken(f"the calls have too few phrases to show anything: {scene}")
    return scene


async def outside(seeds: range, out: Path | None, events: int = 3) -> int:
    """Many schedules against one pair of servers. Returns how many broke an invariant."""
    began, broken, strikes, others, waits, resumed = time.monotonic(), [], Counter(), [], [], 0
    async with World() as world:
        expected = await undisturbed(world)
        for seed in seeds:
            scene, planned = Scene(world, expected), schedule(seed, OUTSIDE, events)
            record = {"seed": seed, "strikes": [strike.fault for strike in planned]}
            try:
                await scene.run(planned, 11.0)
            except Exception as error:
                broken.append((seed, f"{type(error).__name__}: {error}"))
                record["broken"] = f"{error!r:.500}"
            strikes.update(strike.fault for strike in planned)
            others += scene.others_s
            waits += scene.waits_s
            resumed += scene.resumed
            keep(out, "outside.jsonl", record | {"others_ms": quantiles(scene.others_s), "resumed": scene.resumed})
    print_summary("against two real servers", len(seeds), broken, strikes)
    print(f"  calls        {CALLS * (len(seeds) - len(broken))} ended with every final exactly once and as undisturbed")
    print(f"  resumed      {resumed} times; a caller waited {quantiles(waits)} ms for it")
    print(f"  others       {quantiles(others)} ms for a request to a server that nothing had struck")
    print(f"  took         {time.monotonic() - began:.0f} s")
    return len(broken)


async def table(faults: list[str] | None, out: Path | None) -> int:
    """Every fault by itself, in the middle of six calls. Prints the rows of docs/reliability.md."""
    failed = 0
    print("| fault | calls resumed | lost or doubled finals | a caller waited at most | others' p99 | others' max |")
    print("| --- | --- | --- | --- | --- | --- |")
    async with World() as world:
        expected = await undisturbed(world)
        for fault in ["nothing", *(faults or OUTSIDE)]:
            scene = Scene(world, expected)
            scene.struck_at = time.monotonic() + 4.0
            strikes = [] if fault == "nothing" else [Strike(0.4, fault, 0, 0.5)]
            try:
                await scene.run(strikes, 10.0)
                lost = "0"
            except Exception as error:
                failed += 1
                lost = f"BROKEN {type(error).__name__}: {error}"[:200]
            others = quantiles(scene.others_s)
            waited = f"{max(scene.waits_s):.1f} s" if scene.waits_s else "-"
            row = [fault, str(scene.resumed), lost, waited, f"{others.get('p99')} ms", f"{others.get('max')} ms"]
            print("| " + " | ".join(row) + " |", flush=True)
            keep(out, "table.jsonl", dict(zip(("fault", "resumed", "lost", "waited", "p99", "max"), row, strict=True)))
    return failed
