"""A client process to be killed: opens streams, keeps them busy, says so, and never ends them."""

import asyncio
import sys

import numpy as np
from tritone_client import Client


async def main(address: str, streams: int) -> None:
    noise = np.random.default_rng(0).integers(-3000, 3000, 2400).astype(np.int16).tobytes()

    async with Client(address) as client:
        opened = [client.stream() for _ in range(streams)]
        await asyncio.gather(*(stream.__aenter__() for stream in opened))
        for turn in range(10_000):
            await asyncio.gather(*(stream.send(noise) for stream in opened))
            if turn == 1:
                print(f"{streams} streams in mid-call", flush=True)
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
