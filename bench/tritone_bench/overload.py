"""`tritone bench overload`: more callers than fit. Do those who got in keep their latency, and do others wait well?"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from tritone_client import (
    Client,
    Event,
    Final,
    InferReply,
    InferRequest,
    Options,
    ServerFull,
    Timeouts,
    Transport,
    TritoneError,
)
from tritone_client._grpc import GrpcTransport

from tritone_bench import calls
from tritone_bench.errors import BenchError, UsageError
from tritone_bench.screen import out

EXAMPLE = """example:
  tritone serve --max-streams 1024 &
  tritone bench overload --capacity 90 --factor 2 --seconds 60

Capacity is what `tritone bench capacity` found. Callers come at a rate that would keep FACTOR times as many calls
alive; each waits for a slot as the client library does. Exit status 1 when an admitted call lost or doubled a final,
or the p99 of admitted chunks passed --latency-threshold.
"""
PIECE = 4800
WAIT_S = 20.0


@dataclass
class Tally:
    """What happened.

    Attributes:
        offered, ended, turned_away: calls that came, that ended, that got no slot within their patience.
        refusals: typed refusals, by their text's tag.
        untyped: errors without a tag that a caller saw before it was admitted.
        wrong: admitted calls whose finals are not, one by one, at the times of the same call alone.
        differing: admitted calls with other words than alone: a search that has no time leaves its phrase to greedy
            decoding, which the service counts.
        lost: admitted calls that broke off.
        too_soon: attempts that came before the time the service had named.
        retry_s: seconds from a refusal to the same caller's next attempt.
        mistakes: of wrong calls what they should have said, what they said, and how often they were resumed.
        lag_s: how late this program itself was; where that is much, the machine is too busy to judge the service.
        latency_s: of each chunk of an admitted call, from when its last sample exists.
        most: calls in progress at once.
    """

    offered: int = 0
    ended: int = 0
    turned_away: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    untyped: int = 0
    wrong: int = 0
    differing: int = 0
    lost: int = 0
    too_soon: int = 0
    retry_s: list[float] = field(default_factory=list)
    latency_s: list[float] = field(default_factory=list)
    lag_s: list[float] = field(default_factory=list)
    mistakes: list[list[str]] = field(default_factory=list)
    now: int = 0
    most: int = 0


class WatchedTransport:
    """A caller's connection, shared with others, that notes refusals and how well their advice is kept."""

    def __init__(self, shared: Transport, tally: Tally) -> None:
        self._shared = shared
        self._tally = tally
        self._refused_at = 0.0
        self._not_before = 0.0
        self.address = shared.address

    async def infer(self, request: InferRequest, timeout: float) -> InferReply:
        """Pass a request on."""
        if request.start and self._refused_at:
            self._tally.retry_s.append(time.monotonic() - self._refused_at)
            self._tally.too_soon += time.monotonic() < self._not_before
        try:
            return await self._shared.infer(request, timeout)
        except ServerFull as error:
            reason = "overloaded" if "late" in str(error) else "full"
            self._tally.refusals[reason] = self._tally.refusals.get(reason, 0) + 1
            self._refused_at = time.monotonic()
            self._not_before = self._refused_at + error.retry_after_s - 0.005
            raise
        except TritoneError:
            self._tally.untyped += request.start
            raise

    async def ready(self, timeout: float) -> bool:
        """Pass the question on."""
        return await self._shared.ready(timeout)

    async def close(self) -> None:
        """The connection is shared: nothing."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("--server", default="127.0.0.1:8001", metavar="HOST:PORT", help="the service (default 127.0.0.1:8001)")
    add("--capacity", type=int, required=True, metavar="N", help="live streams that it carries")
    add("--factor", type=float, default=2.0, metavar="F", help="offered load as a multiple of it (default 2)")
    add("--seconds", type=float, default=60.0, metavar="S", help="how long callers come (default 60 s)")
    add("--latency-threshold", type=float, default=300.0, metavar="MS", help="limit of p99 (default 300 ms, a chunk)")
    add("--audio", type=Path, metavar="PATH", help="speech to send: file or folder (default: tests/audio)")
    add("--out", type=Path, metavar="FILE", help="write the numbers there as JSON")


def run(args: argparse.Namespace) -> int:
    """Offer the load, print what happened.

    Raises:
        BenchError: the service let an admitted call down.
    """
    if args.capacity < 1 or not args.factor > 0 or not args.seconds >= 1:
        raise UsageError("--capacity must be 1 or more, --factor above 0 and --seconds 1 or more")
    clips = calls.load_clips(args.audio or calls.default_audio())
    spoken = calls.make_calls(clips, count=6, seconds=12.0, pauses=True)
    tally = asyncio.run(_offer(args, [b"".join(call.chunks) for call in spoken]))
    latency = np.array(tally.latency_s or [0.0]) * 1e3
    p50, p99 = (float(value) for value in np.percentile(latency, (50, 99)))
    retry = np.array(tally.retry_s or [0.0])
    out(
        f"{args.factor:g} times {args.capacity} streams offered for {args.seconds:g} s",
        f"  offered   {tally.offered} calls of 12 s, at most {tally.most} of them in progress at once",
        f"  admitted  {tally.ended} ended; p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {latency.max():.0f} ms a chunk, "
        f"{(latency > 300).mean():.2%} late, {len(latency)} chunks",
        f"  generator {np.percentile(np.array(tally.lag_s or [0.0]) * 1e3, 99):.0f} ms late itself at p99",
        f"  refusals  {tally.refusals or 0}, typed; {tally.untyped} errors without a type",
        f"  obeyed    next attempt after {retry.min():.2f} to {retry.max():.2f} s; {tally.too_soon} came too soon",
        f"  gave up   {tally.turned_away} callers after {WAIT_S:g} s of waiting",
        f"  lost      {tally.lost} admitted calls, {tally.wrong} with lost or doubled finals; "
        f"{tally.differing} with other words for want of time",
    )
    if args.out is not None:
        numbers = asdict(tally) | {"p50_ms": p50, "p99_ms": p99, "max_ms": float(latency.max())}
        for name in ("latency_s", "lag_s", "retry_s"):
            numbers[name] = [round(value, 4) for value in numbers[name]]
        args.out.write_text(json.dumps(numbers) + "\n", encoding="utf-8")
    if tally.lost or tally.wrong or not tally.ended:
        raise BenchError(f"{tally.lost + tally.wrong} of {tally.ended} admitted calls were let down")
    if p99 > args.latency_threshold:
        raise BenchError(f"p99 of admitted chunks is {p99:.0f} ms, above {args.latency_threshold:g} ms")
    return 0


async def _offer(args: argparse.Namespace, audio: list[bytes]) -> Tally:
    tally = Tally()
    shared = GrpcTransport(args.server)
    watched: Callable[[str], Transport] = lambda address: WatchedTransport(shared, tally)  # noqa: E731
    try:
        expected = [await _finals(args.server, one) for one in audio]
        rate = args.factor * args.capacity / 12.0
        rng, tasks, began = random.Random(1), [], time.monotonic()  # noqa: S311 - arrivals, not secrets
        due = 0.0
        while due < args.seconds:
            await asyncio.sleep(max(0.0, began + due - time.monotonic()))
            which = tally.offered % len(audio)
            tasks.append(asyncio.create_task(_call(args.server, audio[which], expected[which], tally, watched)))
            tally.offered += 1
            due += rng.expovariate(rate)
        await asyncio.gather(*tasks)
    finally:
        await shared.close()
    return tally


async def _call(
    server: str, audio: bytes, expected: list[Final], tally: Tally, transport: Callable[[str], Transport]
) -> None:
    timeouts = Timeouts(admission=WAIT_S, resume=30.0)
    async with Client(server, timeout=timeouts, transport=transport) as client:
        stream = client.stream(Options(interim_results=False))
        try:
            await stream.__aenter__()
        except TritoneError:
            tally.turned_away += 1
            return
        tally.now += 1
        tally.most = max(tally.most, tally.now)
        events, began = [], time.monotonic()
        try:
            for index, begin in enumerate(range(0, len(audio), PIECE), 1):
                exists = began + index * 0.3
                free = max(exists, time.monotonic())
                await asyncio.sleep(free - time.monotonic())
                tally.lag_s.append(time.monotonic() - free)
                events += await stream.send(audio[begin : begin + PIECE])
                tally.latency_s.append(time.monotonic() - exists)
            events += await stream.finish()
        except TritoneError:
            tally.lost += 1
        else:
            tally.ended += 1
            tally.wrong += _times(events) != _times(expected)
            if _texts(events) != _texts(expected):
                tally.differing += 1
                tally.mistakes.append([repr(_texts(expected)), repr(_texts(events)), f"resumed {stream.resumed}"])
        finally:
            tally.now -= 1
            await stream.aclose()


async def _finals(server: str, audio: bytes) -> list[Final]:
    """The same call alone."""
    async with Client(server) as client, client.stream(Options(interim_results=False)) as stream:
        events = []
        for begin in range(0, len(audio), PIECE):
            events += await stream.send(audio[begin : begin + PIECE])
        return [event for event in events + await stream.finish() if isinstance(event, Final)]


def _times(events: Sequence[Event]) -> list[tuple[float, float]]:
    return [(event.start, event.end) for event in events if isinstance(event, Final)]


def _texts(events: Sequence[Event]) -> list[tuple[str, float, float]]:
    return [(event.text, event.start, event.end) for event in events if isinstance(event, Final)]
