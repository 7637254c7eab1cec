"""A TCP proxy with bad weather: delay, silence in both directions, connections that are open at one end only.

The kernels these tests run on have no netem, and a proxy needs no rights.
"""

from __future__ import annotations

import asyncio
import contextlib


class Proxy:
    """Forwards to one port.

    Attributes:
        delay_s: every piece of data waits so long, in each direction.
        cut: nothing is forwarded; connections stay open and new ones are taken, as with a dropped route.
    """

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task] = set()
        self._generation = 0
        self._frozen = -1
        self.port = 0
        self.delay_s = 0.0
        self.cut = False

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def freeze_present(self) -> None:
        """Connections that exist now never carry a byte again and are never closed: half-open to the client."""
        self._frozen = self._generation
        self._generation += 1

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        generation = self._generation
        try:
            with contextlib.suppress(OSError):
                there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
                try:
                    ways = [
                        asyncio.create_task(self._carry(reader, there_writer, generation)),
                        asyncio.create_task(self._carry(there_reader, writer, generation)),
                    ]
                    try:
                        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        for way in ways:
                            way.cancel()
                        await asyncio.gather(*ways, return_exceptions=True)
                finally:
                    there_writer.close()
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, generation: int) -> None:
        while data := await source.read(65536):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            while self.cut:
                await asyncio.sleep(0.05)
            if generation <= self._frozen:
                await asyncio.sleep(3600)
            sink.write(data)
            await sink.drain()
