"""The CPU engine: ONNX Runtime over a state pool in main memory."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from time import perf_counter_ns
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from tritone_backend.engines.base import EngineTiming
from tritone_backend.engines.graph_cache import optimised_graph
from tritone_backend.engines.memory import Budget
from tritone_backend.errors import EngineError, ModelError
from tritone_backend.spec import AcousticSpec

_STATE_TYPES: dict[str, type[np.floating[Any]]] = {"tensor(float16)": np.float16, "tensor(float)": np.float32}


class OnnxRuntimeEngine:
    """Engine for any ``model.onnx`` with the public T-one contract, on the CPU."""

    name = "onnxruntime"

    def __init__(self, spec: AcousticSpec, *, threads: int = 0) -> None:
        """Load the graph.

        Args:
            spec: the model.
            threads: threads for one step; 0 takes every core this process may use.

        Raises:
            ModelError: the graph cannot be read or is not the one ``model.toml`` describes.
        """
        self.spec = spec
        self.timing = EngineTiming(0.0, 0.0, 0.0)
        self._threads = threads or len(os.sched_getaffinity(0))
        options = ort.SessionOptions()
        # One thread a run, and a batch in as many parts as there are threads: ONNX Runtime's own threads cut matrix
        # products where it suits them, and then a stream's result depends in its last bits on its neighbours.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._helpers = ThreadPoolExecutor(max(1, self._threads - 1), thread_name_prefix="network")
        options.log_severity_level = 3
        try:
            self._session = optimised_graph(spec.onnx, options)
        except Exception as error:  # ONNX Runtime raises a class of its own per kind of broken file
            raise ModelError(f"{spec.onnx} is not a graph that ONNX Runtime can load: {_first_line(error)}") from None
        self._state_type = self._check_graph()
        self._pool: NDArray[Any] = np.zeros((0, spec.state_size), self._state_type)

    def allocate(self, slots: int) -> None:
        """See :class:`Engine`. Pages of slots that nobody used yet cost no memory."""
        each = self.spec.state_size * np.dtype(self._state_type).itemsize
        available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        Budget(available, 0, each, 0, "this machine").require(slots)
        self._pool = np.zeros((slots, self.spec.state_size), self._state_type)

    def step(
        self,
        signal: NDArray[np.int16] | NDArray[np.int32],
        slots: NDArray[np.int32],
        fresh: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """See :class:`Engine`."""
        begin = perf_counter_ns()
        state = self._pool[slots]
        state[fresh] = 0
        samples = signal.astype(np.int32)[:, :, None]
        loaded = perf_counter_ns()
        parts = min(self._threads, len(slots))
        edges = [len(slots) * part // parts for part in range(parts + 1)]
        pieces = [(samples[first:last], state[first:last]) for first, last in pairwise(edges)]
        try:
            others = [self._helpers.submit(self._run, *piece) for piece in pieces[1:]]
            answers = [self._run(*pieces[0]), *(other.result() for other in others)]
        except Exception as error:  # see __init__
            raise EngineError(f"the network failed on a batch of {len(slots)}: {_first_line(error)}") from None
        ran = perf_counter_ns()
        self._pool[slots] = np.concatenate([following for _, following in answers])
        result: NDArray[np.float32] = np.concatenate([logprobs for logprobs, _ in answers])
        self.timing = EngineTiming((loaded - begin) / 1e3, (ran - loaded) / 1e3, (perf_counter_ns() - ran) / 1e3)
        return result

    def _run(self, signal: NDArray[np.int32], state: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[Any]]:
        logprobs, following = self._session.run(["logprobs", "state_next"], {"signal": signal, "state": state})
        return logprobs, following

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
                raise ModelError(f"{spec.onnx} has no tensor {name!r}: it is not a graph with T-one's contract")
            actual = list(nodes[name].shape[1:])
            if any(isinstance(size, int) and size != want for size, want in zip(actual, shape, strict=False)):
                raise ModelError(
                    f"{spec.onnx}: {name} is {actual}, yet model.toml says {shape}: they do not belong together"
                )
        kind = _STATE_TYPES.get(inputs["state"].type)
        if kind is None:
            raise ModelError(f"{spec.onnx}: the state has type {inputs['state'].type}, not float16 or float32")
        return kind


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
