"""Replay arithmetic for any audio, any cut and any loss."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritone_client import Client, Event, Final, Options, Partial, _waiting
from tritone_client._resume import CONTEXT_MS, NETWORK_MEMORY_MS, ReplayLog

from tests.client.fake_service import WIDTH, FakeService, FakeTransport, listen, speech
from tests.client.test_stream import finals

pytestmark = pytest.mark.unit

RATES = [8000, 11025, 16000, 22050, 44100, 48000]


def final(start: float, end: float) -> Final:
    return Final("слово", start, end)


@pytest.mark.parametrize(
    ("rate", "grid_ms", "samples"),
    [(8000, 300, 2400), (44100, 300, 13230), (11025, 600, 6615), (22050, 300, 6615), (8001, 3000, 24003)],
)
def test_grid_is_whole_chunks_and_whole_samples(rate: int, grid_ms: int, samples: int) -> None:
    assert Options(sample_rate=rate).grid_ms == grid_ms
    assert grid_ms * rate / 1000 == samples


@given(rate=st.integers(8000, 48000))
def test_grid_is_the_smallest(rate: int) -> None:
    grid_ms = Options(sample_rate=rate).grid_ms
    whole = [ms for ms in range(300, grid_ms + 300, 300) if ms * rate % 1000 == 0]
    assert whole == [grid_ms]


@settings(deadline=None, max_examples=150)
@given(
    rate=st.sampled_from(RATES),
    encoding=st.sampled_from(sorted(WIDTH)),
    steps=st.lists(st.tuples(st.integers(1, 12_000), st.integers(0, 9), st.booleans()), min_size=1, max_size=40),
    odd=st.integers(0, 7),
)
def test_replay_plan(rate: int, encoding: str, steps: list[tuple[int, int, bool]], odd: int) -> None:
    """Each step sends some milliseconds of audio, perhaps brings a final, perhaps is followed by a replay."""
    options = Options(sample_rate=rate, encoding=encoding)
    log = ReplayLog(options)
    sent = 0  # bytes
    last_final_ms = 0
    origin_ms = 0
    for milliseconds, lag, lost in steps:
        size = (milliseconds * rate // 1000) * options.sample_width + odd % options.sample_width
        log.append(b"\1" * size)
        sent += size
        assert log.end == sent
        now_ms = sent * 1000 // options.bytes_per_second
        end_ms = now_ms // 10 * 10 - 300 * lag
        events: list[Event] = []
        if end_ms > max(last_final_ms, origin_ms):
            last_final_ms = end_ms
            events = [final(0.0, (end_ms - origin_ms) / 1000)]
        news = log.accept(events, sent)
        assert [round(event.end * 1000) for event in news] == ([last_final_ms] if events else [])
        longest = (CONTEXT_MS + 60_000 + options.grid_ms) * options.bytes_per_second // 1000 + size
        assert log.held <= longest
        if lost:
            plan = log.replay()
            origin_ms = plan.origin_ms
            first_byte = origin_ms * options.bytes_per_second // 1000
            assert first_byte % options.sample_width == 0
            assert origin_ms % 300 == 0
            assert plan.unheard == b""
            assert first_byte + len(plan.heard) == sent
            capped = now_ms - last_final_ms > 60_000 - options.grid_ms
            if origin_ms == 0:
                assert plan.resume_after_ms == last_final_ms
            elif plan.resume_after_ms == NETWORK_MEMORY_MS:
                assert capped
            else:
                assert plan.resume_after_ms + origin_ms == last_final_ms
                if not capped:
                    assert plan.resume_after_ms < CONTEXT_MS + options.grid_ms
                    assert plan.resume_after_ms >= CONTEXT_MS


def test_no_final_twice_no_stale_partial() -> None:
    log = ReplayLog(Options(encoding="mulaw"))
    log.append(bytes(8000 * 40))
    assert log.accept([final(1, 2), Partial("a", 39, 40)], 8000 * 40) == [final(1, 2), Partial("a", 39, 40)]
    log.append(bytes(8000))
    plan = log.replay()
    assert (plan.origin_ms, plan.resume_after_ms) == (0, 2000)
    assert (len(plan.heard), len(plan.unheard)) == (8000 * 40, 8000)
    assert log.accept([final(1, 2), Partial("other", 30, 31)], 8000 * 40) == []
    assert log.accept([Partial("a", 39, 41), Partial("a b", 39, 41)], 8000 * 41) == [Partial("a b", 39, 41)]
    assert log.accept([final(39, 41)], 8000 * 41) == [final(39, 41)]


def test_events_of_a_resumed_stream_are_on_the_first_axis() -> None:
    log = ReplayLog(Options(encoding="mulaw"))
    log.append(bytes(8000 * 40))
    log.accept([final(30, 39.03)], 8000 * 40)
    assert log.replay().origin_ms == 13_800
    (event,) = log.accept([final(25.5, 26.1)], 8000 * 40)
    assert (event.start, event.end) == (39.3, 39.9)


def test_silence_does_not_pile_up_and_the_next_phrase_survives() -> None:
    """After minutes of silence the audio held begins long after the last final."""
    options = Options(encoding="mulaw")
    log = ReplayLog(options)
    for _ in range(1000):
        log.append(bytes(2400))
        log.accept([], log.end)
    assert log.held <= (85_000 + 300) * 8
    plan = log.replay()
    assert plan.origin_ms == 300_000 - 85_200
    assert plan.resume_after_ms == NETWORK_MEMORY_MS
    assert log.accept([final(21, 22)], log.end) == [final(round(214.8 + 21, 2), round(214.8 + 22, 2))]


def test_a_refused_piece_is_forgotten() -> None:
    log = ReplayLog(Options(encoding="mulaw"))
    log.append(b"good")
    log.accept([], 4)
    log.append(b"bad")
    log.rollback()
    log.append(b"!")
    plan = log.replay()
    assert plan.heard + plan.unheard == b"good!"


PARTS = st.lists(st.tuples(st.sampled_from([0, 0, 3, 5, 9]), st.integers(1, 300)), min_size=1, max_size=10)
FAULTS = st.sampled_from(["request lost", "answer lost", "answer late", "restarted", "draining", "internal"])


@settings(deadline=None, max_examples=15)
@given(
    parts=PARTS,
    sizes=st.lists(st.integers(1, 90_000), min_size=1, max_size=8),
    faults=st.dictionaries(st.integers(0, 60), FAULTS, max_size=8),
    format_=st.sampled_from([(8000, "mulaw"), (8000, "pcm_s16le"), (11025, "alaw")]),
)
def test_any_loss_leaves_the_finals_as_they_were(
    parts: list[tuple[int, int]], sizes: list[int], faults: dict[int, str], format_: tuple[int, str]
) -> None:
    """Whole streams, parts in units of 100 ms: each final exactly once, with the network's memory intact."""
    rate, encoding = format_
    audio = speech(*((word, tenths / 10) for word, tenths in parts), rate=rate, width=WIDTH[encoding])
    parameters: dict[str, Any] = {"encoding": encoding, "sample_rate": rate, "max_phrase_ms": 15_000}
    service = FakeService()
    service.fault = lambda number, request: faults.get(number)

    async def run() -> list[Event]:
        client = Client(transport=lambda address: FakeTransport(service, address))
        events: list[Event] = []
        async with client.stream(**parameters) as stream:
            position = turn = 0
            while position < len(audio):
                size = sizes[turn % len(sizes)]
                events += await stream.send(audio[position : position + size])
                position, turn = position + size, turn + 1
            return events + await stream.finish()

    async def no_sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_waiting, "sleep", no_sleep)
        events = asyncio.run(run())
    assert finals(events) == listen(audio, **parameters)
    shown = [event for event in events if isinstance(event, Partial)]
    assert len({(p.text, p.start, p.end) for p in shown}) == len(shown)
