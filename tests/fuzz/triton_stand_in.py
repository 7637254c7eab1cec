"""Just enough of Triton's Python backend to run our models in this process: what they call, and nothing of Triton."""

from __future__ import annotations

import json
import sys
import threading
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

START, END = 1, 2
ANSWER_S = 20.0
log: list[str] = []
"""What the models wrote to the server's log."""


class Tensor:
    def __init__(self, name: str, array: np.ndarray) -> None:
        self._name, self._array = name, array

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> np.ndarray:
        return self._array


class TritonError(Exception):
    UNAVAILABLE, NOT_FOUND, ALREADY_EXISTS, INVALID_ARG, INTERNAL = range(5)

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Response:
    def __init__(self, output_tensors: Sequence[Tensor] = (), error: TritonError | None = None) -> None:
        self.outputs = {tensor.name(): tensor.as_numpy() for tensor in output_tensors}
        self.error = error


class Request:
    """One request; its answer comes from `execute` or through its sender, and exactly once."""

    def __init__(
        self, stream_id: int | str, flags: int, parameters: str, inputs: Mapping[str, np.ndarray], outputs: set[str]
    ) -> None:
        self._stream_id, self._flags, self._parameters = stream_id, flags, parameters
        self.inputs, self._outputs = inputs, outputs
        self._answers: list[Response] = []
        self._answered = threading.Event()

    def flags(self) -> int:
        return self._flags

    def correlation_id(self) -> int | str:
        return self._stream_id

    def parameters(self) -> str:
        return self._parameters

    def requested_output_names(self) -> set[str]:
        return self._outputs

    def get_response_sender(self) -> Request:
        return self

    def send(self, response: Response, flags: int) -> None:
        assert flags == 1
        self._answers.append(response)
        self._answered.set()

    def answer(self) -> Response:
        assert self._answered.wait(ANSWER_S), "a request was never answered"
        assert len(self._answers) == 1, "a request was answered twice"
        return self._answers[0]


class _Metric:
    def increment(self, value: float) -> None:
        assert value == value

    def __getattr__(self, name: str) -> Any:
        assert name == "set"
        return self.increment


class _MetricFamily:
    GAUGE, COUNTER = "gauge", "counter"

    def __init__(self, **_: Any) -> None:
        pass

    def Metric(self, labels: Mapping[str, str]) -> _Metric:
        return _Metric()


def install() -> None:
    """Let ``import triton_python_backend_utils`` find this; an empty module of another test is filled."""
    module: Any = sys.modules.setdefault("triton_python_backend_utils", types.ModuleType("triton_python_backend_utils"))
    if hasattr(module, "Logger"):
        return
    module.Tensor, module.InferenceResponse, module.TritonError = Tensor, Response, TritonError
    module.TritonModelException = RuntimeError
    module.MetricFamily = _MetricFamily
    module.TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
    module.get_input_tensor_by_name = lambda request, name: Tensor(name, request.inputs[name])
    module.Logger = types.SimpleNamespace(log_info=log.append, log_warn=log.append, log_error=log.append)


class Model:
    """One of our models, loaded as Triton would."""

    def __init__(self, name: str, model_dir: Path, **settings: object) -> None:
        install()
        if name == "streaming_asr":
            from tritone_backend.triton.asr import AsrModel as Adapter
        else:
            from tritone_backend.triton.acoustic import AcousticModel as Adapter
        chosen = {"model": model_dir, "engine": "onnxruntime", "threads": 1, "admission": "slots", **settings}
        parameters = {key: {"string_value": str(value)} for key, value in chosen.items()}
        self._model: Any = Adapter()
        self._model.initialize(
            {
                "model_name": name,
                "model_instance_name": f"{name}_0_0",
                "model_config": json.dumps({"parameters": parameters}),
            }
        )

    @property
    def live(self) -> int:
        """Streams that hold a slot."""
        return len(self._model._service._loop._streams)

    def execute(self, requests: Sequence[Request]) -> list[Response]:
        """Answers to requests that Triton hands over together."""
        for request, response in zip(requests, self._model.execute(requests) or [None] * len(requests), strict=True):
            if response is not None:
                request.send(response, 1)
        return [request.answer() for request in requests]

    def finalize(self) -> None:
        self._model.finalize()
