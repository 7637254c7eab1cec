"""The Triton model `streaming_asr`: audio bytes in, events out. The work is in Transcriber and StreamLoop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic, perf_counter
from typing import Any, cast

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from tritone_backend.decoding import FrameDecisions
from tritone_backend.decoding.service import DecoderChoice, Decoding
from tritone_backend.decoding.settings import DecodingSettings
from tritone_backend.errors import BackendError, Code, StreamError
from tritone_backend.events import Event, encode
from tritone_backend.models.registry import find_model
from tritone_backend.options import StreamOptions
from tritone_backend.profiling.journal import Journal
from tritone_backend.profiling.names import PACK
from tritone_backend.profiling.spans import span
from tritone_backend.profiling.stagetimes import StageTimes, as_timing
from tritone_backend.spec import AcousticSpec
from tritone_backend.streams import Session
from tritone_backend.transcriber import Transcriber
from tritone_backend.triton.service import StreamingService, read_settings

MAX_REQUEST_BYTES = 2 * 1024 * 1024


class AsrModel:
    """What Triton calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Start the service; Triton calls this once."""
        self._journal = Journal(pb_utils.Logger.log_warn)
        settings = read_settings(args)
        try:
            directory = find_model(settings.model)
            spec = AcousticSpec.load(directory)
            choice = DecoderChoice(
                settings.decoder,
                settings.language_model,
                deadline_s=settings.final_deadline_ms / 1e3,
                partial_deadline_s=settings.partial_deadline_ms / 1e3,
            )
            self._decoding = Decoding(
                spec, DecodingSettings.load(directory), choice, self._degraded, self._late_partial
            )
        except BackendError as error:
            raise pb_utils.TritonModelException(f"tritone: {error.user_message}") from None
        self._service: StreamingService[bytes, list[Event]] = StreamingService(
            args, self._open_session, _digest, _read_audio, _write_events
        )
        pb_utils.Logger.log_info(f"tritone: {args['model_name']}: {self._decoding.summary}")

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests, or return None for those that take more than one network step: their answers come later."""
        return self._service.execute(requests)

    def finalize(self) -> None:
        """Stop the service; Triton calls this once."""
        self._service.finalize()
        self._decoding.close()

    def _open_session(self, spec: AcousticSpec, parameters: Mapping[str, Any], stream_id: int | str) -> Transcriber:
        return Transcriber(spec, StreamOptions.parse(parameters), self._decoding, stream_id)

    def _late_partial(self) -> None:
        """Count a partial that did not have the search's newest words; one thread calls this."""
        self._service.counters.late_partials += 1

    def _degraded(self, stream_id: int | str, phrases: int, reason: str, detail: str) -> None:
        """Count and tell of phrases that stay greedy; one thread at a time calls this."""
        self._service.counters.degraded[reason] += phrases
        self._journal.note(monotonic(), "degraded", stream_id, reason, detail=detail, phrases=phrases)


def _digest(
    spec: AcousticSpec, sessions: Sequence[Session[bytes, list[Event]]], logprobs: NDArray[np.float32]
) -> float:
    with span("decode"):
        decisions = FrameDecisions.of(logprobs, spec)
    begin = perf_counter()
    with span("endpoint"):
        closed = [cast(Transcriber, session).endpoint(decisions, row) for row, session in enumerate(sessions)]
    endpointing_us = (perf_counter() - begin) * 1e6
    with span("decode"):
        for row, (session, spans) in enumerate(zip(sessions, closed, strict=True)):
            cast(Transcriber, session).decode(decisions, row, spans)
    return endpointing_us


def _read_audio(request: Any) -> bytes:
    tensor = pb_utils.get_input_tensor_by_name(request, "audio")
    array: NDArray[np.uint8] = tensor.as_numpy()
    if array.nbytes > MAX_REQUEST_BYTES:
        raise StreamError(
            Code.TOO_LARGE,
            f"{array.nbytes} bytes in one request, at most {MAX_REQUEST_BYTES} are taken: send smaller pieces",
        )
    return array.tobytes()


def _write_events(wanted: set[str], events: list[Event], stages: StageTimes) -> list[Any]:
    begin = perf_counter()
    tensors = []
    if not wanted or "events" in wanted:
        tensors.append(pb_utils.Tensor("events", np.frombuffer(encode(events), np.uint8)[None]))
    if "timing" in wanted:
        stages[PACK] = (perf_counter() - begin) * 1e6
        tensors.append(pb_utils.Tensor("timing", as_timing(stages)[None]))
    return tensors
