"""Drains, readiness, and refusals by what batches take here: the gate alone and in the loop."""

import random
from time import sleep

import numpy as np
import pytest
from tritone_backend.board import INSTANCES, SIZE, Board, Door, create
from tritone_backend.errors import Code, StreamError
from tritone_backend.gate import Gate
from tritone_backend.limits import Limits
from tritone_backend.pace import MIN_CHUNKS, Pace

from tests.backend.test_loop import alone, harness  # noqa: F401 - a fixture

pytestmark = pytest.mark.unit

KEY = "secret"


def drain(one, action, key=KEY, stream_id=999):
    with pytest.raises(StreamError) as caught:
        one.send(stream_id, start=True, end=True, probe=True, drain=action, admin_key=key).result(5)
    return caught.value


def test_a_drain_refuses_new_streams_and_lets_running_ones_finish(spec, harness):  # noqa: F811
    one = harness(admin_key=KEY)
    samples = np.arange(4800, dtype=np.int16)
    got = one.send(1, samples[:2400], start=True).result(5)
    answer = drain(one, "begin")
    assert answer.code is Code.DRAINING
    assert answer.user_message.endswith("[tritone:draining retry_after_s=2 live=1]")
    assert one.code(2, start=True) is Code.DRAINING
    assert one.code(3, samples[:2400], start=True, end=True, probe=True) is Code.DRAINING
    got += one.send(1, samples[2400:], end=True).result(5)
    assert np.array_equal(got, alone(spec, samples))
    assert drain(one, "begin").user_message.endswith("live=0]")
    sleep(0.7)
    assert (one.loop.counters.ready, one.loop.counters.draining) == (False, True)
    assert one.loop.counters.refused["draining"] == 2
    one.send(999, samples[:2400], start=True, end=True, probe=True, drain="undo", admin_key=KEY).result(5)
    one.send(2, start=True).result(5)
    assert one.loop.counters.drained == 0


def test_the_end_of_a_drain_moves_the_streams_that_are_left(harness):  # noqa: F811
    one = harness(admin_key=KEY)
    for i in (1, 2, 3):
        one.send(i, start=True).result(5)
    one.engine.gate.clear()
    working = one.send(3, np.zeros(2400))
    while one.loop._streams.get(3).request is None:
        sleep(0.01)
    ended = one.send(888, start=True, end=True, probe=True, drain="end", admin_key=KEY)
    one.engine.gate.set()
    assert len(working.result(5)) == 1  # what was in work is still answered
    with pytest.raises(StreamError, match="draining retry_after_s=2 live="):
        ended.result(5)
    assert one.code(1, np.zeros(2400)) is Code.DRAINING
    assert one.code(3, np.zeros(2400)) is Code.DRAINING
    sleep(0.7)
    assert one.loop.counters.live == 0
    assert one.loop.counters.drained == 3


@pytest.mark.parametrize("key", ["", "secre", "secret ", "Secret"])
def test_nobody_drains_without_the_key(harness, key):  # noqa: F811
    one = harness(admin_key=KEY)
    assert drain(one, "begin", key).code is Code.BAD_OPTION
    one.send(1, start=True).result(5)


def test_a_service_without_a_key_cannot_be_drained_at_all(harness):  # noqa: F811
    one = harness()
    assert drain(one, "begin", "").code is Code.BAD_OPTION
    assert one.code(998, start=True, drain="stop", admin_key="") is Code.BAD_OPTION


def test_pace_says_how_many_streams_fit_before_any_is_late():
    pace = Pace(0.3, 32)
    assert pace.room(0.0) is None
    pace.learn([(size, 0.011 + 0.00186 * size) for size in (1, 2, 4, 8, 16, 32)])  # the default model on two cores
    assert pace.room(0.0) == pytest.approx(103, abs=2)
    for moment in range(4):  # the machine does something else as well: everything takes twice as long
        pace.observe(100.0 + moment / 10, MIN_CHUNKS, 2 * pace.expected(MIN_CHUNKS))
    assert pace.slowness(100.5) == pytest.approx(2)
    assert pace.room(100.5) < 60
    assert pace.room(105.0) == pytest.approx(103, abs=2)  # that was seconds ago
    assert 1 <= pace.chunks_within(0.0375) < 32


def true(size):
    """Seconds of a batch of the default model on one core."""
    return 0.007 + 0.0052 * size


def serve(pace, draw, live, begin, seconds=3.0):
    """Streams that send a chunk every 0.3 s, at random phases, to a loop that takes all that waits."""
    phases = [draw.uniform(0.0, 0.3) for _ in range(live)]
    due = sorted(begin + phase + 0.3 * turn for phase in phases for turn in range(int(seconds / 0.3)))
    now, done = begin, 0
    while done < len(due):
        now = max(now, due[done])
        size = min(32, sum(1 for moment in due[done : done + 32] if moment <= now))
        now += true(size)
        pace.observe(now, size, true(size))
        done += size


def test_what_was_measured_beside_other_work_is_corrected_by_live_batches():
    """A service whose models loaded at the same time on one core took itself for half as fast, and stayed at that."""
    pace, honest, draw = Pace(0.3, 32), Pace(0.3, 32), random.Random(1)
    pace.learn([(size, 2 * true(size)) for size in (1, 2, 4, 8, 16, 32)])
    honest.learn([(size, true(size)) for size in (1, 2, 4, 8, 16, 32)])
    begin = pace.room(0.0)
    for turn in range(60):  # as many as there is room for, for three minutes
        serve(pace, draw, pace.room(3.0 * turn), 3.0 * turn)
    assert begin < 21
    assert 27 <= pace.room(1000.0) <= honest.room(1000.0) + 1


def test_large_batches_are_never_thought_quicker_than_what_was_seen_allows():
    pace = Pace(0.3, 32)
    pace.learn([(size, 0.010 * size) for size in (1, 2, 4, 8, 16, 32)])
    for _ in range(200):
        pace.observe(1.0, 2, 0.016)  # 8 ms a chunk, so 32 chunks take 16 times that at most
    assert pace.expected(32) == pytest.approx(0.256, rel=0.02)
    room = pace.room(100.0)
    assert room == pytest.approx(0.75 * 0.3 / 0.008, rel=0.1)
    for _ in range(200):
        pace.observe(101.0, 8, 5.0)  # a stall teaches nothing
    assert pace.room(101.0) == 0
    assert pace.room(200.0) == room


def test_pace_of_a_fast_engine_is_bounded_by_full_batches():
    pace = Pace(0.3, 32)
    pace.learn([(size, 0.001 + 0.00001 * size) for size in (1, 2, 4, 8, 16, 32)])
    assert pace.room(0.0) == pytest.approx(0.75 * 0.3 * 32 / 0.00132, rel=0.02)


def test_one_stall_does_not_close_the_gate_of_an_idle_machine():
    gate = Gate(Limits(64, 32, 60.0), 0.3)
    gate.pace.learn([(1, 0.013), (32, 0.07)])
    gate.pace.observe(10.0, 1, 2.0)
    assert gate.refusal(3, 10.1) is None


def test_a_slow_engine_is_filled_to_what_it_carries_and_no_further(harness):  # noqa: F811
    """A chunk takes 10 ms here: some thirty streams fit into 300 ms, and there are slots for a thousand."""
    one = harness(max_streams=1000, max_batch=8)
    one.loop._gate.pace.learn([(size, 0.010 * size) for size in (1, 2, 4, 8)])
    answers = [one.send(i, start=True) for i in range(1, 100)]
    errors = [error for answer in answers if (error := answer.exception(5))]
    assert len(answers) - len(errors) == 22  # 75 % of 30
    assert {(error.reason, error.retry_after_s) for error in errors} == {("overloaded", 2.0)}


def test_what_one_process_is_told_holds_for_all(tmp_path):
    create(tmp_path / "board")
    path = str(tmp_path / "board")
    one, two = Board.join(path, "streaming_asr_0_0"), Board.join(path, "streaming_asr_0_3")
    other = Board.join(path, "streaming_acoustic_0_0")
    one.publish(3)
    two.publish(4)
    other.publish(5)
    assert one.live == two.live == other.live == 12
    one.door = Door.DRAINING
    assert other.door is Door.DRAINING
    assert (tmp_path / "board").stat().st_size == SIZE


@pytest.mark.parametrize("instance", ["echo_0_0", f"streaming_asr_0_{INSTANCES}"])
def test_whoever_has_no_place_on_the_board_has_one_of_its_own(tmp_path, instance):
    create(tmp_path / "board")
    path = str(tmp_path / "board")
    Board.join(path, instance).publish(7)
    assert Board.join(path, "streaming_asr_0_0").live == 0
    assert Board.join("", "streaming_asr_0_0").live == 0
    assert Board.join(str(tmp_path / "none"), "streaming_asr_0_0").live == 0
