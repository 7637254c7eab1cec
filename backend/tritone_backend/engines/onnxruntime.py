"""The CPU engine: ONNX Runtime over a state pool in main memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from tritone_backend.engines.base import EngineTiming, Lane
from tritone_backend.engines.graph_cache import optimised_graph
from tritone_backend.engines.memory import Budget
from tritone_backend.errors import EngineError, ModelError
from tritone_backend.spec import AcousticSpec

_STATE_TYPES: dict[str, type[np.floating[Any]]] = {"tensor(float16)": np.float16, "tensor(float)": np.float32}


class OnnxRuntimeEngine:
    """Engine for any ``model.onnx`` with the public T-one contract, on the CPU."""

    def __init__(
        self, spec: AcousticSpec, *, threads: int = 0, graph: Path | None = None, name: str = "onnxruntime"
    ) -> None:
        """Load the graph.

        Args:
            spec: the model.
            graph: runs in place of the model's own.
            name: of the engine, with that graph.
            threads: how many there are for steps; 0 takes every core this process may use.

        Raises:
            ModelError: the graph cannot be read or is not the one ``model.toml`` describes.
        """
        self.spec, self.name = spec, name
        self._graph = graph or spec.onnx
        self.timing = EngineTiming(0.0, 0.0, 0.0)
        self._threads = threads or len(os.sched_getaffinity(0))
        options = ort.SessionOptions()
        # One thread a run, and as many runs as there are threads: ONNX Runtime's own threads cut matrix products where
        # it suits them, and then a stream's result depends in its last bits on its neighbours.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._helpers = ThreadPoolExecutor(max(1, self._threads - 1), thread_name_prefix="network")
        options.log_severity_level = 3
        try:
            self._session = optimised_graph(self._graph, options)
        except Exception as error:  # ONNX Runtime raises a class of its own per kind of broken file
            raise ModelError(f"{self._graph} is not a graph that ONNX Runtime can load: {_first_line(error)}") from None
        self._state_type = self._check_graph()
        self._lanes = [_Lane(self._session) for _ in range(self._threads)]

    @property
    def lanes(self) -> Sequence[Lane]:
        """See :class:`Engine`: one a thread."""
        return self._lanes

    def allocate(self, slots: int) -> None:
        """See :class:`Engine`. Pages of slots that nobody used yet cost no memory."""
        each = self.spec.state_size * np.dtype(self._state_type).itemsize
        available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        Budget(available, 0, each, 0, "this machine").require(slots)
        pool = np.zeros((slots, self.spec.state_size), self._state_type)
        for lane in self._lanes:
            lane.pool = pool

    def step(
        self,
        signal: NDArray[np.int16] | NDArray[np.int32],
        slots: NDArray[np.int32],
        fresh: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """See :class:`Engine`. The batch is spread over the lanes."""
        begin = perf_counter_ns()
        parts = min(len(self._lanes), len(slots))
        edges = [len(slots) * part // parts for part in range(parts + 1)]
        pieces = [(signal[first:last], slots[first:last], fresh[first:last]) for first, last in pairwise(edges)]
        first, *others = self._lanes[:parts]
        running = [self._helpers.submit(lane.step, *piece) for lane, piece in zip(others, pieces[1:], strict=True)]
        try:
            answers = [first.step(*pieces[0])]
        finally:
            wait(running)
        answers += [one.result() for one in running]
        took = (perf_counter_ns() - begin) / 1e3
        copied_in, _, copied_out = first.timing
        self.timing = EngineTiming(copied_in, took - copied_in - copied_out, copied_out)
        return np.concatenate(answers)

    def _check_graph(self) -> type[np.floating[Any]]:
        """Compare the graph's inputs and outputs with the spec; return the type of its state."""
        spec = self.spec
        inputs = {node.name: node for node in self._session.get_inputs()}
        outputs = {node.name: node for node in self._session.get_outputs()}
        expected = {
            "signal": (inputs, [spec.chunk_samples, 1]),
            "state": (inputs, [spec.state_size]),
            "logprobs": (outputs, [spec.frames_per_chunk, spec.classes]),
            "state_next": (outputs, [spec.state_size]),
        }
        for name, (nodes, shape) in expected.items():
            if name not in nodes:
                raise ModelError(f"{self._graph} has no tensor {name!r}: it is not a graph with T-one's contract")
            actual = list(nodes[name].shape[1:])
            if any(isinstance(size, int) and size != want for size, want in zip(actual, shape, strict=False)):
                raise ModelError(
                    f"{self._graph}: {name} is {actual}, yet model.toml says {shape}: they do not belong together"
                )
        kind = _STATE_TYPES.get(inputs["state"].type)
        if kind is None:
            raise ModelError(f"{self._graph}: the state has type {inputs['state'].type}, not float16 or float32")
        return kind


class _Lane:
    """One thread's way through the graph: takes the states of its streams out of the pool and puts them back.

    Attributes:
        pool: float16 or float32 [slots, state_size], shared by all lanes.
    """

    def __init__(self, session: ort.InferenceSession) -> None:
        self.timing = EngineTiming(0.0, 0.0, 0.0)
        self.pool: NDArray[Any] = np.zeros((0, 0))
        self._session = session

    def step(
        self,
        signal: NDArray[np.int16] | NDArray[np.int32],
        slots: NDArray[np.int32],
        fresh: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """See :class:`Lane`."""
        begin = perf_counter_ns()
        state = self.pool[slots]
        state[fresh] = 0
        given = {"signal": signal.astype(np.int32)[:, :, None], "state": state}
        loaded = perf_counter_ns()
        try:
            logprobs, following = self._session.run(["logprobs", "state_next"], given)
        except Exception as error:  # ONNX Runtime raises a class of its own per kind of failure
            raise EngineError(f"the network failed on a batch of {len(slots)}: {_first_line(error)}") from None
        ran = perf_counter_ns()
        self.pool[slots] = following
        self.timing = EngineTiming((loaded - begin) / 1e3, (ran - loaded) / 1e3, (perf_counter_ns() - ran) / 1e3)
        result: NDArray[np.float32] = logprobs
        return result


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
