"""A full /dev/shm under a running server: in a mount namespace of its own, so that nobody else's is filled."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time

import pytest
import soundfile
from tritone_client import Client, Timeouts

from tests.chaos.inside_run import essence
from tests.chaos.outside import Served
from tests.chaos.outside_run import AUDIO, OPTIONS, PIECE

pytestmark = [
    pytest.mark.triton,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="mounting needs root and unshare"),
]
SHM_MIB = 16


class Confined(Served):
    """A server with a small /dev/shm of its own."""

    prefix = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o size={SHM_MIB}m tmpfs /dev/shm && exec "$@"', "sh")

    def inside(self, script: str) -> str:
        assert self.process is not None
        command = ["nsenter", "--mount", "--target", str(self.process.pid), "sh", "-c", script]
        return subprocess.run(command, check=False, capture_output=True, timeout=30, text=True).stdout


async def test_calls_go_on_while_shared_memory_is_full_and_after_it(tmp_path):
    samples, _ = soundfile.read(AUDIO, dtype="int16")
    audio = samples[: 8000 * 14].tobytes()
    server = Confined(tmp_path)
    await asyncio.to_thread(server.start)
    try:
        address = f"127.0.0.1:{server.grpc_port}"

        async def call(pace_s: float, filled: bool) -> list[tuple]:
            events = []
            timeouts = Timeouts(request=5.0, resume=60.0)
            async with Client(address, timeout=timeouts) as client, client.stream(OPTIONS) as stream:
                for index, begin in enumerate(range(0, len(audio), PIECE)):
                    if filled and index == 10:
                        fill = "cat /dev/zero > /dev/shm/filler; df --output=pcent /dev/shm"
                        assert "100%" in await asyncio.to_thread(server.inside, fill)
                    if filled and index == 30:
                        await asyncio.to_thread(server.inside, "rm /dev/shm/filler")
                    events += await stream.send(audio[begin : begin + PIECE])
                    await asyncio.sleep(pace_s)
                events += await stream.finish()
            return essence(events)

        expected = await call(0.0, filled=False)
        assert len(expected) >= 2
        began = time.monotonic()
        assert await call(0.1, filled=True) == expected
        assert time.monotonic() - began < 60
        print(f"resumed with a full /dev/shm: {''.join(server.lines) or 'no restart'}")
    finally:
        await asyncio.to_thread(server.stop)
