"""An engine with several lanes: nobody waits for a neighbour's step, and nothing of one lane reaches another."""

from time import perf_counter, sleep

import numpy as np
import pytest
from tritone_backend.errors import Code, StreamError
from tritone_backend.turns import Turns

from tests.backend.test_loop import Harness, alone
from tests.backend.test_loop_profile import ProfiledHarness

pytestmark = pytest.mark.unit
CHUNK = np.arange(2400, dtype=np.int16)


class Waiting:
    """As much of a stream as `Turns` looks at."""

    def __init__(self, slot):
        self.slot = slot


@pytest.fixture
def harness(spec):
    made = []

    def make(**options):
        made.append(Harness(spec, lanes=2, **options))
        return made[-1]

    yield make
    for one in made:
        for lane in one.engine.lanes:
            lane.gate.set()
        one.loop.stop()


def started(one, *streams):
    for stream in streams:
        one.send(stream, start=True).result(5)


def until(condition):
    deadline = perf_counter() + 5
    while not condition():
        assert perf_counter() < deadline
        sleep(0.002)


def test_those_who_are_ready_are_spread_over_idle_lanes(harness):
    one = harness()
    started(one, 1, 2, 3)
    one.engine.batches.clear()
    for lane in one.engine.lanes:
        lane.gate.clear()
    answers = [one.send(1, CHUNK), one.send(2, CHUNK)]
    until(lambda: not one.loop._lanes.idle)
    answers.append(one.send(3, CHUNK))
    for lane in one.engine.lanes:
        lane.gate.set()
    for answer in answers:
        answer.result(5)
    assert sorted(map(len, one.engine.batches)) == [1, 1, 1]


def test_a_step_that_takes_long_holds_up_nobody_else(spec, harness):
    one = harness()
    started(one, 1, 2)
    held, _ = one.engine.lanes
    held.gate.clear()
    slow = one.send(1, CHUNK)
    until(lambda: one.loop._lanes.idle == 1)
    for turn in range(5):
        assert np.array_equal(one.send(2, CHUNK).result(5)[0], alone(spec, np.tile(CHUNK, turn + 1))[-1])
    assert one.code(1, CHUNK) is Code.OVERLAP
    assert not slow.done()
    held.gate.set()
    assert np.array_equal(slow.result(5)[0], alone(spec, CHUNK)[-1])


def test_a_stream_in_a_lane_is_not_reaped_and_its_slot_not_given_away(spec, harness):
    one = harness(max_streams=1, idle_timeout_s=0.05)
    started(one, 1)
    for lane in one.engine.lanes:
        lane.gate.clear()
    slow = one.send(1, CHUNK)
    until(lambda: one.loop._lanes.idle == 1)
    sleep(0.8)  # the reaper comes by twice a second
    assert one.code(2, start=True) is Code.FULL
    for lane in one.engine.lanes:
        lane.gate.set()
    assert np.array_equal(slow.result(5)[0], alone(spec, CHUNK)[-1])


def test_a_failed_step_ends_its_own_streams_and_no_others(spec, harness):
    one = harness()
    started(one, 1, 2)
    held, _ = one.engine.lanes
    held.gate.clear()
    good = one.send(1, CHUNK)
    until(lambda: one.loop._lanes.idle == 1)
    one.engine.fail_next = True
    assert one.code(2, CHUNK) is Code.INTERNAL
    held.gate.set()
    assert np.array_equal(good.result(5)[0], alone(spec, CHUNK)[-1])
    assert one.code(2, CHUNK) is Code.UNKNOWN_STREAM
    assert one.loop.counters.failed_batches == 1


def test_probes_at_the_same_time_have_slots_of_their_own(spec, harness):
    one = harness(max_streams=2)
    for lane in one.engine.lanes:
        lane.gate.clear()
    answers = [one.send(stream, CHUNK * stream, start=True, end=True, probe=True) for stream in (1, 2)]
    until(lambda: not one.loop._lanes.idle)
    for lane in one.engine.lanes:
        lane.gate.set()
    for stream, answer in enumerate(answers, 1):
        assert np.array_equal(answer.result(5)[0], alone(spec, CHUNK * stream)[-1])
    assert sorted(slot for batch in one.engine.batches[-2:] for slot in batch) == [2, 3]


def test_stopping_waits_for_what_is_under_way(harness):
    one = harness()
    started(one, 1)
    answer = one.send(1, np.tile(CHUNK, 4), end=True)
    one.loop.stop()
    assert len(answer.result(0)) == 4


def test_a_broken_engine_is_given_up_whichever_lane_it_is(harness):
    one = harness()
    for stream in range(1, 6):
        started(one, stream)
        one.engine.fail_next = True
        with pytest.raises(StreamError):
            one.send(stream, CHUNK).result(5)
    assert len(one.broken) == 1


def test_ways_between_threads_are_in_the_stage_times(spec, tmp_path):
    one = ProfiledHarness(spec, tmp_path, lanes=2)
    started(one, 1, 2)
    for _ in range(5):
        for answer in [one.send(1, CHUNK), one.send(2, CHUNK)]:
            answer.result(5)
    counts, sums = one.histogram()
    assert counts["network"] == counts["copy_in"] == counts["copy_out"] == 10
    stages = sum(total for name, total in sums.items() if name != "chunk")
    assert 0.5 * sums["chunk"] < stages <= sums["chunk"]
    assert one.loop.counters.busy_s > 0


@pytest.mark.parametrize("most", [1, 2, 3, 8])
def test_those_who_can_wait_get_one_place_in_four_however_small_a_batch_is(most):
    turns = Turns()
    for slot in range(200):
        turns.add(Waiting(slot), due=slot % 2 == 0)
    taken = []
    while len(taken) < 96:
        taken += turns.take(most, lambda: 1)
    assert sum(stream.slot % 2 for stream in taken) == 24


@pytest.mark.parametrize("due", [True, False])
def test_a_part_leaves_the_others_theirs(due):
    turns = Turns()
    for slot in range(5):
        turns.add(Waiting(slot), due=due)
    sizes = [len(turns.take(4, lambda: 4, parts)) for parts in (3, 2, 1)]
    assert sizes == [2, 2, 1]
    assert not len(turns)
