"""The Triton model `streaming_acoustic`: one chunk in, its log-probs out; the state stays here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from tritone_backend.errors import Code, StreamError
from tritone_backend.profiling.stagetimes import StageTimes
from tritone_backend.spec import AcousticSpec
from tritone_backend.streams import Session
from tritone_backend.triton.service import StreamingService

_Samples = NDArray[np.int32]
_LogProbs = NDArray[np.float32]


class AcousticModel:
    """What Triton calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Start the service; Triton calls this once."""
        self._service: StreamingService[_Samples, _LogProbs] = StreamingService(
            args, _open_session, _digest, _read_signal, _write_logprobs
        )

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests, or return None for those that take more than one network step: their answers come later."""
        return self._service.execute(requests)

    def finalize(self) -> None:
        """Stop the service; Triton calls this once."""
        self._service.finalize()


class _AcousticSession:
    """One stream of bare chunks: a request is a chunk."""

    def __init__(self, spec: AcousticSpec) -> None:
        self._samples = spec.chunk_samples
        self._chunk: NDArray[np.int16] | None = None
        self.logprobs: _LogProbs | None = None

    @property
    def pending_chunks(self) -> int:
        return int(self._chunk is not None)

    @property
    def resampling_us(self) -> float:
        return nan

    def feed(self, payload: _Samples) -> None:
        if payload.size != self._samples:
            raise StreamError(Code.BAD_AUDIO, f"a chunk has {self._samples} samples, not {payload.size}")
        # The contract is 16-bit samples in 32-bit integers; load generators send anything.
        self._chunk = np.clip(payload.reshape(-1), -32768, 32767).astype(np.int16)

    def finish_audio(self) -> None:
        pass  # the caller pads, as with the public model

    def take_chunk(self) -> NDArray[np.int16]:
        chunk, self._chunk = self._chunk, None
        assert chunk is not None
        return chunk

    def close(self) -> None:
        pass  # nothing is held back

    def take_result(self) -> _LogProbs:
        assert self.logprobs is not None
        return self.logprobs


def _open_session(spec: AcousticSpec, parameters: Mapping[str, Any], stream_id: int | str) -> _AcousticSession:
    unknown = set(parameters) - {"probe"}
    if unknown:
        raise StreamError(Code.BAD_OPTION, f"unknown option {min(unknown)!r}: streaming_acoustic takes none")
    return _AcousticSession(spec)


def _digest(spec: AcousticSpec, sessions: Sequence[Session[_Samples, _LogProbs]], logprobs: _LogProbs) -> float:
    for row, session in enumerate(sessions):
        assert isinstance(session, _AcousticSession)
        session.logprobs = logprobs[row].copy()  # the engine reuses its buffers while this is being sent
    return 0.0


def _read_signal(request: Any) -> _Samples:
    array: _Samples = pb_utils.get_input_tensor_by_name(request, "signal").as_numpy().copy()
    return array


def _write_logprobs(wanted: set[str], logprobs: _LogProbs, stages: StageTimes) -> list[Any]:
    return [pb_utils.Tensor("logprobs", np.ascontiguousarray(logprobs)[None])]
