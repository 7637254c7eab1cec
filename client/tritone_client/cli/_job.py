"""One audio source through one stream: paced like a call, or as fast as the service answers.

What becomes of the events, and what is shown meanwhile, is the caller's matter.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable

from tritone_client._events import Event
from tritone_client._latency import LatencyRecorder
from tritone_client._stream import Stream
from tritone_client._wire import CHUNK_MS
from tritone_client.audio import Source

BULK_MS = 3000
"""Audio per request when nobody waits for single chunks: fewer requests, and the service still batches fairly."""


@dataclasses.dataclass(slots=True)
class Tally:
    """What streams did, to be summed over all files.

    Attributes:
        seconds: audio sent.
        chunks: requests that carried it.
        late: of these, answered later than the next chunk was due; only when paced.
        resumed: losses of the service that were survived.
        latency: of each chunk: from the moment its last sample would exist when paced, else from sending it.
    """

    seconds: float = 0.0
    chunks: int = 0
    late: int = 0
    resumed: int = 0
    latency: LatencyRecorder = dataclasses.field(default_factory=LatencyRecorder)


async def feed(
    stream: Stream,
    source: Source,
    tally: Tally,
    *,
    realtime: bool,
    on_event: Callable[[Event], None],
    on_progress: Callable[[float], None],
) -> None:
    """Send a whole source and end the stream.

    Args:
        stream: open, with the source's encoding and rate.
        source: unread.
        tally: counts on.
        realtime: send 300 ms at a time, each when its last sample would exist, by a schedule fixed at the beginning.
        on_event: called with each event.
        on_progress: called with the seconds of audio that were answered.

    Raises:
        TritoneError: as `Stream.send` says.
    """
    began = time.monotonic()
    sent_bytes = 0
    seconds = 0.0
    resumed = stream.resumed
    try:
        async for block in source.blocks(CHUNK_MS if realtime else BULK_MS):
            sent_bytes += len(block)
            exists_s = sent_bytes / stream.options.bytes_per_second
            if realtime:
                due = began + exists_s
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            else:
                due = time.monotonic()
            events = await stream.send(block)
            latency_s = time.monotonic() - due
            tally.latency.add(latency_s)
            tally.late += realtime and latency_s > CHUNK_MS / 1000
            tally.chunks += 1
            tally.seconds += exists_s - seconds
            seconds = exists_s
            for event in events:
                on_event(event)
            on_progress(seconds)
        for event in await stream.finish():
            on_event(event)
    finally:
        tally.resumed += stream.resumed - resumed
