"""Clips through the running service: as fast as it answers for the words, or at the pace of a call for the delays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from tritone_client import Client, Event, Final, Options, Timeouts, TritoneError

from tritone_bench.accuracy.sets import Clip
from tritone_bench.accuracy.spelling import normalise
from tritone_bench.errors import ServiceError

CHUNK_S = 0.3
BULK_S = 3.0
"""Audio per request when nobody waits for single chunks."""
TAIL_S = 1.5
"""Silence after a paced clip, as on a line that stays open: otherwise the end of the stream would close its phrase."""
NOISE_PEAK = 6  # samples; a line is never perfectly silent


@dataclass(frozen=True)
class HeardWord:
    """A recognised word with its times in the clip, seconds, and how sure the service is."""

    word: str
    start: float
    end: float
    confidence: float | None


@dataclass(frozen=True)
class Shown:
    """An event as it reached the client.

    Attributes:
        arrived_s: when, counted from the moment the clip's first sample was spoken.
        final: whether it closes its phrase.
        words: what was shown.
        ends: of a final's words, seconds from the first sample.
    """

    arrived_s: float
    final: bool
    words: tuple[str, ...]
    ends: tuple[float, ...] = ()


@dataclass
class Heard:
    """What a system made of one clip.

    Attributes:
        text: normalised.
        words: in order; empty where the system tells no times.
        shown: events with their arrival, of a paced clip.
    """

    text: str
    words: list[HeardWord] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)


async def _one(client: Client, clip: Clip, *, paced: bool) -> Heard:
    audio = clip.samples()
    if paced:
        tail = np.random.default_rng(1).integers(-NOISE_PEAK, NOISE_PEAK + 1, round(TAIL_S * clip.rate))
        audio = np.concatenate([audio, tail.astype(np.int16)])
    options = Options(sample_rate=clip.rate, words=True, interim_results=paced)
    step = round((CHUNK_S if paced else BULK_S) * clip.rate)
    raw = audio.astype("<i2").tobytes()
    shown: list[Shown] = []
    finals: list[Event] = []

    def take(events: Sequence[Event]) -> None:
        now = time.monotonic() - began
        for event in events:
            final = isinstance(event, Final)
            if final:
                finals.append(event)
            if paced:
                ends = tuple(word.end for word in event.words) if final else ()
                shown.append(Shown(now, final, tuple(event.text.split()), ends))

    try:
        async with client.stream(options) as stream:
            began = time.monotonic()
            for first in range(0, len(audio), step):
                if paced:  # a piece is sent when its last sample exists; the schedule is absolute
                    exists = min(first + step, len(audio)) / clip.rate
                    await asyncio.sleep(max(0.0, began + exists - time.monotonic()))
                take(await stream.send(raw[2 * first : 2 * (first + step)]))
            take(await stream.finish())
    except TritoneError as error:
        raise ServiceError(f"{clip.key}: {error.user_message}") from None
    words = [
        HeardWord(part, word.start, word.end, word.confidence)
        for event in finals
        for word in event.words
        for part in normalise(word.word).split()
    ]
    return Heard(normalise(" ".join(event.text for event in finals)), words, shown)


async def _all(
    address: str, clips: Sequence[Clip], streams: int, *, paced: bool, progress: Callable[[int, int], None]
) -> dict[str, Heard]:
    heard: dict[str, Heard] = {}
    waiting = iter(clips)

    async def line(client: Client) -> None:
        for clip in waiting:  # shared by all lines: each takes the next clip when it is free
            heard[clip.key] = await _one(client, clip, paced=paced)
            progress(len(heard), len(clips))

    async with Client(address, timeout=Timeouts(request=120.0, admission=120.0)) as client:
        lines = [asyncio.ensure_future(line(client)) for _ in range(min(streams, len(clips)))]
        try:
            await asyncio.gather(*lines)
        finally:
            for task in lines:
                task.cancel()
            await asyncio.gather(*lines, return_exceptions=True)
    return heard


def recognise(
    address: str, clips: Sequence[Clip], streams: int, *, paced: bool, progress: Callable[[int, int], None]
) -> dict[str, Heard]:
    """Send every clip as a stream of its own through the client.

    Args:
        address: host:port of the service.
        clips: recordings.
        streams: how many at once.
        paced: at the pace of a call, partials and arrival times noted; else as fast as the service answers.
        progress: called with the clips that are done, and all.

    Returns:
        What was heard, by `Clip.key`.

    Raises:
        ServiceError: a clip failed.
    """
    return asyncio.run(_all(address, clips, streams, paced=paced, progress=progress))
