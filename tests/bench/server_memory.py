"""`python -m tests.bench.server_memory`: does tritonserver keep anything of a chunk, a stream, a refusal, a caller?

Thousands of each as fast as they go, on a real tritonserver with a network that babbles. What a growing heap of fixed
size costs falls from line to line; a leak costs the same in each.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tritone_backend.serve import running_server
from tritone_bench import kserve
from tritone_bench.calls import CHUNK_BYTES
from tritone_bench.http2 import Http2Connection
from tritone_bench.reference import ask
from tritone_bench.usage import listening_process

from tests.bench.babble_model import write_model

CHUNK = kserve.chunk(bytes(CHUNK_BYTES))
ROUNDS = 4


def new() -> bytes:
    return kserve.identity(secrets.randbits(62) + 1)


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(write_model(Path(folder) / "babble"), max_streams=24, idle_timeout_s=2.0) as server,
    ):
        host, _, port = server.address.rpartition(":")
        root = listening_process(int(port))
        assert root is not None

        def dial() -> Http2Connection[None]:
            return Http2Connection(host, int(port), kserve.METHOD)

        steady = [dial()]  # a new one for each kind: an idle connection answers no pings and is closed
        stream = new()

        def send(flags: bytes, connection: Http2Connection[None] | None = None) -> int:
            return ask(connection or steady[0], CHUNK + new() + flags + kserve.EVENTS_ONLY).status

        def chunk() -> None:
            if ask(steady[0], CHUNK + stream + kserve.EVENTS_ONLY).status:
                assert not ask(steady[0], CHUNK + stream + kserve.START + kserve.EVENTS_ONLY).status

        def whole() -> None:
            assert not send(kserve.START + kserve.END)

        def caller() -> None:
            own = dial()
            assert not send(kserve.START + kserve.END, own)
            own.close()

        def vanish() -> None:
            send(kserve.START)

        kinds: list[tuple[str, Callable[[], None], int]] = [
            ("chunks of one stream", chunk, 12_000),
            ("streams of one chunk", whole, 12_000),
            ("callers with a connection of their own", caller, 6_000),
            ("streams that begin and vanish, most of them refused", vanish, 10_000),
        ]
        for name, act, times in kinds:
            steady[0].close()
            steady[0] = dial()
            for _ in range(ROUNDS):
                before, began = root.memory_info().rss, time.monotonic()
                for _ in range(times):
                    act()
                grown = root.memory_info().rss - before
                each = f"{grown / 1024:+.0f} KiB, {grown / times:.1f} bytes each"
                print(f"{name}: {times} in {time.monotonic() - began:.0f} s, {each}", flush=True)


if __name__ == "__main__":
    main()
