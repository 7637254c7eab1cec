"""The loop's part of isolation: whatever calls do to themselves and to each other, each hears what it hears alone.

Beside `test_loop.py`: here streams end and begin again under the same id, errors of every kind fall between, keys and
limits refuse, steps fail, and every slot without a stream is NaN between any two rounds.
"""

from __future__ import annotations

import random
from time import perf_counter, sleep

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritone_backend.access import Caller
from tritone_backend.errors import Code, StreamError
from tritone_backend.streams import Request

from tests.backend.test_loop import Harness, alone

pytestmark = pytest.mark.unit

SLOTS, CALLERS = 5, {"a": Caller("a", 3), "b": Caller("b", 2)}
BAD_AUDIO = np.array([32767], np.int16)


class Crowd:
    """Calls that come, go, err and come again; each knows what it has heard.

    Args:
        harness: a loop over the toy engine.
        rng: decides everything.
        calls: how many calls there will be.
    """

    def __init__(self, spec, harness: Harness, rng: random.Random, calls: int) -> None:
        self.spec, self.harness, self.rng = spec, harness, rng
        sounds = np.random.default_rng(rng.randrange(2**32))
        self.audio = [sounds.integers(-9000, 9000, rng.randrange(1, 9000)).astype(np.int16) for _ in range(calls)]
        self.waiting = list(range(calls))
        self.live: dict[int, int] = {}  # call -> samples sent
        self.heard: dict[int, list[np.ndarray]] = {}
        self.ids: dict[int, int] = {}
        self.refusals: set[str] = set()

    def owner(self, call: int) -> Caller:
        return CALLERS["ab"[call % 2]]

    def send(self, call: int, samples=(), *, stream=None, caller=None, start=False, end=False):
        """One request, answered before this returns; the result, or the code of the refusal."""
        answers = []
        request = Request(
            stream or self.ids[call],
            start,
            end,
            np.asarray(samples, np.int16),
            {},
            lambda result, stages: answers.append(result),
            perf_counter(),
            caller or self.owner(call),
        )
        return request, answers

    def round(self) -> None:
        """Several requests that reach the loop together, then poison where nobody is."""
        rng = self.rng
        requests = []
        for call in list(self.live):
            if rng.random() < 0.6:
                at = self.live[call]
                size = rng.choice([0, 1, 100, 2400, 5000])
                end = at + size >= len(self.audio[call])
                requests.append(
                    (call, "end" if end else "go", *self.send(call, self.audio[call][at : at + size], end=end))
                )
                self.live[call] = at + size
            elif rng.random() < 0.5:
                wrong = rng.choice(["bad audio", "start again", "another key"])
                if wrong == "bad audio":
                    sent = self.send(call, BAD_AUDIO)
                elif wrong == "start again":
                    sent = self.send(call, [1, 2, 3], start=True)
                else:
                    sent = self.send(call, [1, 2, 3], caller=self.owner(call + 1), end=True)
                requests.append((call, "mistake", *sent))
        newcomers = []
        while self.waiting and rng.random() < 0.7 and len(newcomers) < 3:
            call = self.waiting.pop()
            newcomers.append(call)
            self.ids[call] = rng.choice([1000 + call, 7])  # 7: an id that others had before, and may have now
            requests.append((call, "start", *self.send(call, start=True)))
        if rng.random() < 0.3:
            requests.append((-1, "mistake", *self.send(0, [5], stream=99, caller=CALLERS["a"])))
        rng.shuffle(requests)
        self.harness.engine.fail_next = rng.random() < 0.1
        self.harness.loop.submit([request for _, _, request, _ in requests])
        deadline = perf_counter() + 20
        while not all(answers for *_, answers in requests):
            assert perf_counter() < deadline, "a request was not answered"
            sleep(2e-4)
        self.harness.engine.fail_next = False
        for call, kind, _, answers in requests:
            assert len(answers) == 1
            self.settle(call, kind, answers[0])
        taken = {stream.slot for _, stream in self.harness.loop._streams._table}
        for slot in set(range(SLOTS + 1)) - taken:
            self.harness.engine.poison(slot)

    def settle(self, call: int, kind: str, result) -> None:
        """Note what a request was answered."""
        if isinstance(result, StreamError):
            self.refusals.add(result.reason)
            if result.code is Code.INTERNAL:  # a failed step: the client begins anew
                assert kind in ("go", "end")
                self.restart(call)
            elif kind == "start":
                assert result.code in (Code.FULL, Code.DUPLICATE_START)
                self.waiting.insert(0, call)
            else:
                assert kind == "mistake", result.user_message
            return
        assert kind != "mistake", "a mistake was accepted"
        self.heard.setdefault(call, []).extend(result)
        if kind == "start":
            self.live[call] = 0
        elif kind == "end":
            del self.live[call]

    def restart(self, call: int) -> None:
        self.live.pop(call, None)
        self.heard.pop(call, None)
        self.waiting.insert(0, call)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_whatever_calls_do_each_hears_what_it_hears_alone(spec, seed):
    rng = random.Random(seed)
    harness = Harness(spec, max_streams=SLOTS, max_batch=rng.choice([1, 2, 5]), measured=False)
    crowd = Crowd(spec, harness, rng, calls=16)
    try:
        rounds = 0
        while crowd.waiting or crowd.live:
            rounds += 1
            assert rounds < 2000, "the calls do not come to an end"
            crowd.round()
        assert len(harness.loop._streams) == 0
        assert not +harness.loop._streams._by_key
    finally:
        harness.loop.stop()
    for call, samples in enumerate(crowd.audio):
        assert np.array_equal(np.array(crowd.heard[call]), alone(spec, samples)), call


def test_the_crowd_meets_every_kind_of_refusal(spec):
    """Else the test above would prove less than it says."""
    met: set[str] = set()
    for seed in range(8):
        rng = random.Random(seed)
        harness = Harness(spec, max_streams=SLOTS, max_batch=2, measured=False)
        crowd = Crowd(spec, harness, rng, calls=16)
        try:
            while crowd.waiting or crowd.live:
                crowd.round()
        finally:
            harness.loop.stop()
        met |= crowd.refusals
    assert {"key-limit", "duplicate-start", "bad-audio", "unknown-stream", "internal"} <= met
