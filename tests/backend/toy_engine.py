"""A tiny recurrent network in numpy behind the Engine protocol: every answer depends on all that its slot heard."""

import threading

import numpy as np
from tritone_backend.engines import EngineTiming
from tritone_backend.errors import EngineError


class ToyEngine:
    """State is a decaying sum of the signal; the answer is a soft-max over a fixed projection of it.

    With more lanes than one, each takes batches of its own; the gate of a lane holds it up.
    """

    name = "toy"

    def __init__(self, spec, lanes=1):
        self.lanes = (self,) if lanes == 1 else tuple(ToyLane(self) for _ in range(lanes))
        self.spec = spec
        self.timing = EngineTiming(0.0, 0.0, 0.0)
        rng = np.random.default_rng(3)
        self._projection = rng.standard_normal((spec.state_size, spec.frames_per_chunk * spec.classes))
        self._pool = np.zeros((0, spec.state_size))
        self.batches: list[list[int]] = []
        self.fail_next = False
        self.gate = threading.Event()
        self.gate.set()

    def allocate(self, slots):
        self._pool = np.full((slots, self.spec.state_size), np.nan)  # what was never fresh must never be read

    def poison(self, slot):
        self._pool[slot] = np.nan

    def step(self, signal, slots, fresh):
        self.gate.wait(10)
        self.batches.append(slots.tolist())
        if self.fail_next:
            self.fail_next = False
            self._pool[slots] = np.nan
            raise EngineError("the toy network was told to fail")
        assert len(set(slots.tolist())) == len(slots)
        state = self._pool[slots]
        state[fresh] = 0
        heard = signal.reshape(len(slots), self.spec.state_size, -1).mean(axis=-1) / 1000
        state = 0.7 * state + heard
        self._pool[slots] = state
        scores = (state @ self._projection).reshape(len(slots), self.spec.frames_per_chunk, self.spec.classes)
        scores -= scores.max(axis=-1, keepdims=True)
        return (scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))).astype(np.float32)


class ToyLane:
    """One of several ways through a toy engine."""

    def __init__(self, engine):
        self.engine = engine
        self.timing = EngineTiming(0.0, 0.0, 0.0)
        self.gate = threading.Event()
        self.gate.set()

    def step(self, signal, slots, fresh):
        self.gate.wait(10)
        return self.engine.step(signal, slots, fresh)
