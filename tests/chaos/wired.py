"""Calls over real IP links to two real servers, each in a network namespace of its own. Run by `test_wire`.

The program is started in a fresh namespace as well, so that no device and no route of the machine is touched. It prints
one JSON object: by scenario, what a caller waited at most, how often the call was resumed, packets carried and lost.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import soundfile
from tritone_client import Client, Timeouts

from tests.chaos.inside_run import essence
from tests.chaos.outside import Served
from tests.chaos.outside_run import AUDIO, OPTIONS, PIECE
from tests.chaos.wire import Place, Wire, link

SECONDS, PACE_S = 11, 0.05  # of speech; of a piece of 0.3 s: six times the speed of life
STRIKE_AT = 12
TIMEOUTS = Timeouts(request=2.0, resume=60.0)
Trouble = Callable[[], Awaitable[None]]


class Remote(Served):
    """A server at the other end of a wire."""

    def __init__(self, folder: Path, number: int) -> None:
        super().__init__(folder)
        self.place = Place()
        self.host = f"10.99.{number}.2"
        self.prefix = self.place.prefix
        self.wire = Wire(f"wire{number}", f"10.99.{number}.1", self.host, self.place)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.grpc_port}"

    def close(self) -> None:
        if self.process is not None:
            self.stop()
        self.wire.close()
        self.place.close()


async def call(addresses: list[str], audio: bytes, pace_s: float, trouble: Trouble | None = None) -> dict:
    """One call, with trouble in the middle of it."""
    events, waits, striking = [], [], None
    async with Client(addresses, timeout=TIMEOUTS) as client, client.stream(OPTIONS) as stream:
        for index, begin in enumerate(range(0, len(audio), PIECE)):
            if index == STRIKE_AT and trouble:
                striking = asyncio.create_task(trouble())
            asked = time.monotonic()
            events += await stream.send(audio[begin : begin + PIECE])
            waits.append(time.monotonic() - asked)
            await asyncio.sleep(pace_s)
        events += await stream.finish()
        resumed, last = stream.resumed, stream.address
    if striking:
        await striking
    return {"finals": essence(events), "longest_s": round(max(waits), 2), "resumed": resumed, "last": last}


async def scenarios(one: Remote, two: Remote) -> dict[str, dict]:
    """Each on its own, healed before the next."""
    samples, _ = soundfile.read(AUDIO, dtype="int16")
    audio = samples[: 8000 * SECONDS].tobytes()
    expected = (await call([one.address], audio, 0.0))["finals"]
    assert len(expected) >= 2
    found = {}

    async def weather() -> None:
        one.wire.delay_s, one.wire.loss = 0.1, 0.03

    async def cut_for_good() -> None:
        one.wire.cut = True

    async def cut_for_a_while() -> None:
        one.wire.cut = True
        await asyncio.sleep(5.0)
        one.wire.cut = False

    async def unplugged() -> None:
        one.wire.unplug()
        await asyncio.sleep(3.0)
        one.wire.unplug(plugged=True)

    for name, trouble, addresses in (
        ("delay of 0.1 s each way and 3 % loss", weather, [one.address]),
        ("cut for 5 s, no other server", cut_for_a_while, [one.address]),
        ("unplugged for 3 s, no other server", unplugged, [one.address]),
        ("cut for good, another server", cut_for_good, [one.address, two.address]),
    ):
        carried, lost = one.wire.carried, one.wire.lost
        result = await call(addresses, audio, PACE_S, trouble)
        result["as undisturbed"] = result.pop("finals") == expected
        result["moved"] = result.pop("last") != one.address
        found[name] = result | {"packets": one.wire.carried - carried, "lost": one.wire.lost - lost}
        one.wire.delay_s = one.wire.loss = 0.0
    return found


def main() -> None:
    """Start both servers, run the scenarios, print."""
    link("lo", up=True)
    with tempfile.TemporaryDirectory(prefix="tritone-wire-") as folder:
        servers = [Remote(Path(folder) / name, number) for number, name in enumerate(("one", "two"), 1)]
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(Remote.start, servers))
            json.dump(asyncio.run(scenarios(*servers)), sys.stdout, indent=1)
        finally:
            for server in servers:
                server.close()


if __name__ == "__main__":
    main()
