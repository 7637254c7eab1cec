"""The life of streams in the loop: isolation, admission, the reaper, errors. In-process; Triton's part is elsewhere."""

import random
import threading
from concurrent.futures import Future
from math import nan
from time import perf_counter, sleep

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritone_backend.admission import Limits
from tritone_backend.errors import Code, StreamError
from tritone_backend.loop import StreamLoop
from tritone_backend.streams import Request

from tests.backend.toy_engine import ToyEngine

pytestmark = pytest.mark.unit


class RecordingSession:
    """Cuts samples into chunks and keeps every log-prob it is given."""

    def __init__(self, chunk: int) -> None:
        self._chunk = chunk
        self._samples = np.zeros(0, np.int16)
        self.logprobs: list[np.ndarray] = []

    @property
    def pending_chunks(self) -> int:
        return len(self._samples) // self._chunk

    @property
    def resampling_us(self) -> float:
        return nan

    def feed(self, payload: np.ndarray) -> None:
        if payload.size and payload[0] == 32767:
            raise StreamError(Code.BAD_AUDIO, "told to refuse")
        self._samples = np.concatenate([self._samples, payload])

    def finish_audio(self) -> None:
        self._samples = np.concatenate([self._samples, np.zeros(-len(self._samples) % self._chunk, np.int16)])

    def take_chunk(self) -> np.ndarray:
        chunk, self._samples = self._samples[: self._chunk], self._samples[self._chunk :]
        return chunk

    def close(self) -> None:
        pass

    def take_result(self) -> list[np.ndarray]:
        taken, self.logprobs = self.logprobs, []
        return taken


class Harness:
    def __init__(self, spec, max_streams=8, max_batch=4, idle_timeout_s=30.0, lanes=1, **limits):
        self.broken = []
        self.engine = ToyEngine(spec, lanes)
        self.loop = StreamLoop(
            self.engine,
            lambda parameters, stream_id: RecordingSession(spec.chunk_samples),
            self._digest,
            Limits(max_streams, max_batch, idle_timeout_s, **limits),
            on_broken=self.broken.append,
        )
        self.loop.start()

    @staticmethod
    def _digest(sessions, logprobs):
        for session, row in zip(sessions, logprobs, strict=True):
            session.logprobs.append(row.copy())
        return 0.0

    def send(self, stream_id, samples=(), start=False, end=False, **parameters) -> Future:
        answer: Future = Future()

        def reply(result, stages):
            if isinstance(result, StreamError):
                answer.set_exception(result)
            else:
                answer.set_result(result)

        payload = np.asarray(samples, np.int16)
        self.loop.submit([Request(stream_id, start, end, payload, parameters, reply, perf_counter())])
        return answer

    def code(self, *args, **kwargs) -> Code:
        with pytest.raises(StreamError) as caught:
            self.send(*args, **kwargs).result(5)
        assert caught.value.user_message.endswith("]")
        return caught.value.code


@pytest.fixture
def harness(spec):
    made = []

    def make(**options):
        made.append(Harness(spec, **options))
        return made[-1]

    yield make
    for one in made:
        one.engine.gate.set()
        one.loop.stop()


def alone(spec, samples: np.ndarray) -> np.ndarray:
    """Log-probs of a stream that has an engine to itself."""
    engine = ToyEngine(spec)
    engine.allocate(1)
    padded = np.concatenate([samples, np.zeros(-len(samples) % spec.chunk_samples, np.int16)])
    out = []
    for i, chunk in enumerate(padded.reshape(-1, spec.chunk_samples)):
        out.append(engine.step(chunk[None], np.zeros(1, np.int32), np.array([i == 0]))[0])
    return np.array(out)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), lanes=st.integers(1, 3))
def test_any_interleaving_leaves_every_stream_what_it_is_alone(spec, seed, lanes):
    """More streams than slots pass through, with random sizes, neighbours, refusals and slot reuse."""
    rng = random.Random(seed)
    harness = Harness(spec, max_streams=5, max_batch=rng.choice([1, 2, 5]), lanes=lanes)
    audio = {
        i: np.random.default_rng(seed + i).integers(-9000, 9000, rng.randrange(1, 9000)).astype(np.int16)
        for i in range(1, 25)
    }
    waiting, live, got = list(audio), {}, {}
    try:
        while waiting or live:
            answers = {}
            for stream_id in list(live):
                if rng.random() < 0.6:
                    position = live[stream_id]
                    size = rng.choice([0, 100, 2400, 5000])
                    piece = audio[stream_id][position : position + size]
                    end = position + size >= len(audio[stream_id])
                    answers[stream_id] = (harness.send(stream_id, piece, end=end), end)
                    live[stream_id] = position + size
            if waiting and rng.random() < 0.8:
                stream_id = waiting.pop()
                answers[stream_id] = (harness.send(stream_id, start=True), False)
            for stream_id, (answer, end) in answers.items():
                try:
                    got.setdefault(stream_id, []).extend(answer.result(10))
                    live.setdefault(stream_id, 0)
                except StreamError as error:
                    assert error.code is Code.FULL
                    waiting.insert(0, stream_id)
                    continue
                if end:
                    del live[stream_id]
    finally:
        harness.loop.stop()
    for stream_id, samples in audio.items():
        assert np.array_equal(np.array(got[stream_id]), alone(spec, samples)), stream_id


def test_a_freed_slot_is_never_read_again(spec, harness):
    one = harness(max_streams=1)
    samples = np.arange(2400, dtype=np.int16)
    one.send(1, samples, start=True, end=True).result(5)
    one.engine.poison(0)
    assert np.array_equal(one.send(2, samples, start=True, end=True).result(5), alone(spec, samples))


def test_no_free_slot_is_refused_with_a_time_to_come_back(harness):
    one = harness(max_streams=1)
    one.send(1, start=True).result(5)
    with pytest.raises(StreamError, match=r"no free slot: 1 of 1 .* \[tritone:full retry_after_s=2\]"):
        one.send(2, start=True).result(5)
    one.send(1, end=True).result(5)
    one.send(2, start=True).result(5)


def test_requests_that_make_no_sense_get_their_own_code(harness):
    one = harness()
    assert one.code(7) is Code.UNKNOWN_STREAM
    one.send(1, start=True).result(5)
    assert one.code(1, start=True) is Code.DUPLICATE_START
    one.send(1, end=True).result(5)
    assert one.code(1, [1, 2]) is Code.UNKNOWN_STREAM


def test_a_rejected_request_has_no_effect(spec, harness):
    one = harness()
    samples = np.arange(4800, dtype=np.int16)
    got = one.send(1, samples[:3000], start=True).result(5)
    assert one.code(1, [32767]) is Code.BAD_AUDIO
    got += one.send(1, samples[3000:], end=True).result(5)
    assert np.array_equal(got, alone(spec, samples))
    assert one.code(2, [32767], start=True) is Code.BAD_AUDIO
    assert one.code(2, [1]) is Code.UNKNOWN_STREAM


def test_a_silent_stream_is_reaped_and_a_talking_one_is_not(harness):
    one = harness(max_streams=2, idle_timeout_s=0.4)
    one.send(1, start=True).result(5)
    one.send(2, start=True).result(5)
    for _ in range(15):
        sleep(0.1)
        one.send(2, [0] * 10).result(5)
    assert one.code(1, [0]) is Code.UNKNOWN_STREAM
    assert one.loop.counters.reaped == 1
    one.send(3, start=True).result(5)


def test_a_failed_batch_costs_its_own_streams_only(spec, harness):
    one = harness()
    samples = np.arange(4800, dtype=np.int16)
    got = one.send(1, samples[:2400], start=True).result(5)
    one.engine.fail_next = True
    assert one.code(2, samples, start=True) is Code.INTERNAL
    got += one.send(1, samples[2400:], end=True).result(5)
    assert np.array_equal(got, alone(spec, samples))
    assert one.code(2, samples) is Code.UNKNOWN_STREAM


def test_a_second_request_in_flight_is_refused(harness):
    one = harness()
    one.send(1, start=True).result(5)
    one.engine.gate.clear()
    first = one.send(1, np.zeros(2400 * 50))
    while one.loop._streams.get(1).request is None:
        sleep(0.01)
    second = one.send(1, np.zeros(2400))
    one.engine.gate.set()
    first.result(5)
    with pytest.raises(StreamError, match="one at a time"):
        second.result(5)


def test_a_long_request_does_not_hold_up_the_others(spec, harness):
    one = harness(max_batch=4)
    one.send(1, start=True).result(5)
    one.send(2, start=True).result(5)
    one.engine.gate.clear()
    long = one.send(1, np.zeros(2400 * 200))
    short = one.send(2, np.zeros(2400))
    done = []
    short.add_done_callback(lambda answer: done.append(len(one.engine.batches)))  # runs in the loop, at once
    one.engine.gate.set()
    short.result(5)
    long.result(10)
    assert len(one.engine.batches) - done[0] > 150


def test_a_machine_that_is_late_refuses_new_streams_and_keeps_the_old(spec, harness):
    one = harness(max_streams=64, max_batch=1)
    for i in range(1, 31):
        one.send(i, start=True).result(5)
    one.engine.gate.clear()
    answers = [one.send(i, np.zeros(2400)) for i in range(1, 31)]
    sleep(0.5)  # longer than a chunk lasts
    one.engine.gate.set()
    for answer in answers:
        answer.result(5)
    assert one.code(99, start=True) is Code.FULL
    one.send(1, np.zeros(2400)).result(5)
    sleep(4.2)
    one.send(99, start=True).result(5)


def test_a_probe_takes_no_slot_and_says_whether_a_new_stream_would_be_served(harness):
    one = harness(max_streams=1)
    assert one.send(2, np.zeros(2400), start=True, end=True, probe=True).result(5)
    one.send(1, start=True).result(5)
    assert one.code(3, np.zeros(2400), start=True, end=True, probe=True) is Code.FULL
    assert one.code(4, start=True) is Code.FULL
    one.send(1, end=True).result(5)
    assert one.send(5, np.zeros(2400), start=True, end=True, probe=True).result(5)
    assert one.loop.counters.admitted == 1
    assert one.code(6, np.zeros(2400), start=True, probe=True) is Code.BAD_OPTION


def test_probes_at_the_same_time_go_one_after_the_other(harness):
    """They share a slot, and an engine may be given a slot once a batch; the toy network asserts it."""
    one = harness(max_streams=4)
    one.engine.gate.clear()
    probes = [one.send(i, np.zeros(4800), start=True, end=True, probe=True) for i in range(1, 9)]
    one.engine.gate.set()
    assert all(len(probe.result(5)) == 2 for probe in probes)


def test_many_threads_may_submit_at_once(spec, harness):
    one = harness(max_streams=16, max_batch=16)
    samples = np.random.default_rng(0).integers(-9000, 9000, 24_000).astype(np.int16)
    expected = alone(spec, samples)
    failures = []

    def call(stream_id):
        got = one.send(stream_id, start=True).result(10)
        for begin in range(0, len(samples), 2400):
            got += one.send(stream_id, samples[begin : begin + 2400], end=begin + 2400 >= len(samples)).result(10)
        if not np.array_equal(got, expected):
            failures.append(stream_id)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
