"""Phrases against a plain re-statement of T-one's splitter over the whole track, and exact resumption."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritone_backend.endpointing import Endpointer, Span

pytestmark = pytest.mark.unit


def phrases_of_whole_track(silent: list[bool], min_silence: int, max_phrase: int) -> list[Span]:
    """Split at runs of silence, looking at the whole track at once; cut stretches that are too long."""
    spans, position = [], 0
    total = len(silent)
    while True:
        start = next((i for i in range(position, total) if not silent[i]), None)
        if start is None:
            return spans
        end = total
        for i in range(start, total - min_silence + 1):
            if all(silent[i : i + min_silence]):
                end = i
                break
        complete = end != total or all(silent[total - min_silence : total])
        if end == total:  # the end of the track closes the phrase, trailing silence is not part of it
            end = max(i for i in range(start, total) if not silent[i]) + 1
        # The cut falls while the phrase is still open: before its closing separator is complete.
        known = end + min_silence if complete else total
        if known - start > max_phrase or (not complete and total - start >= max_phrase):
            spans.append(Span(start, start + max_phrase))
            position = start + max_phrase
            continue
        spans.append(Span(start, end))
        position = end


def run(silent: list[bool], step: int, min_silence: int, max_phrase: int, first: int = 0) -> list[Span]:
    endpointer = Endpointer(min_silence, max_phrase, first)
    spans = []
    for begin in range(0, len(silent), step):
        spans += endpointer.push(silent[begin : begin + step])
    last = endpointer.finish()
    return [*spans, last] if last else spans


tracks = st.lists(st.tuples(st.booleans(), st.integers(1, 30)), max_size=30).map(
    lambda runs: [flag for flag, length in runs for _ in range(length)]
)


@settings(max_examples=300, deadline=None)
@given(track=tracks, step=st.integers(1, 40), min_silence=st.integers(1, 25), max_phrase=st.integers(33, 80))
def test_incremental_phrases_equal_those_of_the_whole_track(track, step, min_silence, max_phrase):
    assert run(track, step, min_silence, max_phrase) == phrases_of_whole_track(track, min_silence, max_phrase)


def test_t_one_numbers():
    speech, silence = [False], [True]
    track = silence * 5 + speech * 7 + silence * 19 + speech * 3 + silence * 20 + speech
    assert run(track, 10, 20, 2000) == [Span(5, 34), Span(54, 55)]


def test_a_phrase_is_closed_when_its_separator_is_complete_and_not_before():
    endpointer = Endpointer(20, 2000)
    assert endpointer.push([False] * 3 + [True] * 19) == []
    assert endpointer.push([True]) == [Span(0, 3)]


@settings(max_examples=200, deadline=None)
@given(track=tracks, data=st.data())
def test_resuming_at_the_end_of_any_phrase_finds_the_same_later_phrases(track, data):
    spans = run(track, 10, 4, 50)
    if spans:
        done = data.draw(st.integers(0, len(spans) - 1))
        assert run(track, 10, 4, 50, first=spans[done].end) == spans[done + 1 :]


def test_work_per_frame_does_not_grow_with_the_phrase():
    endpointer = Endpointer(20, 10**9)
    endpointer.push([False] * 100_000)
    state = {key: value for key, value in vars(endpointer).items() if isinstance(value, list)}
    assert not state
    assert endpointer.start == 0
