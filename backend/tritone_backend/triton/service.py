"""What both Triton models share: settings, engine, loop, metrics, and answering requests. No tensors by name here."""

from __future__ import annotations

import gc
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Generic

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from tritone_backend.access import Guard
from tritone_backend.admission import Limits
from tritone_backend.board import Board
from tritone_backend.counters import Counters
from tritone_backend.engines import Engine, create_engine
from tritone_backend.engines.choose import MAX_BATCH
from tritone_backend.engines.shared.client import SharedEngine, engine_address, start_host
from tritone_backend.errors import BackendError, Code, StreamError
from tritone_backend.loop import StreamLoop
from tritone_backend.models.registry import find_model
from tritone_backend.profiling import spans
from tritone_backend.profiling.dumpsignal import DumpSignal
from tritone_backend.profiling.journal import Journal
from tritone_backend.profiling.profile import DumpTo, Profile
from tritone_backend.profiling.stagetimes import StageTimes, new_stage_times
from tritone_backend.spec import AcousticSpec
from tritone_backend.streams import PayloadT, Request, ResultT, Session
from tritone_backend.triton.answers import Answers
from tritone_backend.triton.metrics import Metrics
from tritone_backend.triton.repository import ModelSettings

SEQUENCE_START, SEQUENCE_END = 1, 2
MOST_WAIT_S = 3e-3
"""Network steps that take longer are not waited for in `execute`. Triton makes a batch of what has arrived as soon as
it can, so that beside long steps many small batches queue up, each for a step of its own; and small ones cost most."""
ADMIN_KEY_VARIABLE = "TRITONE_ADMIN_KEY"
BROKEN_STATUS = 70


def read_settings(args: Mapping[str, str]) -> ModelSettings:
    """Settings from the ``parameters`` of the model's ``config.pbtxt``."""
    parameters = json.loads(args["model_config"]).get("parameters", {})
    given = {key: entry["string_value"] for key, entry in parameters.items()}
    defaults = vars(ModelSettings())
    return ModelSettings(**{key: type(default)(given.get(key, default)) for key, default in defaults.items()})


def _engine(settings: ModelSettings, instance: str) -> tuple[Engine, str, int]:
    """The engine of one instance, why it is this one, and the most streams of a step."""
    model = find_model(settings.model)
    most = settings.max_batch or MAX_BATCH["torch"]
    if settings.engine_process == "shared":
        if instance == "streaming_asr_0_0":  # one of all starts it; those of streaming_acoustic join as well
            slots = settings.max_streams + 1 + settings.instances * (share_of(settings) + 1)
            words = ("--model", str(model), "--engine", settings.engine, "--threads", str(settings.threads))
            start_host([*words, "--slots", str(slots), "--most", str(2 * most)])
        return SharedEngine(AcousticSpec.load(model), engine_address(), most), "", most
    alone = settings.instances == 1
    engine, reason = create_engine(settings.engine, model, threads=settings.threads, max_batch=most, spin=alone)
    return engine, reason, settings.max_batch or MAX_BATCH[engine.name]


def share_of(settings: ModelSettings) -> int:
    """Slots of one instance: the same for all, because Triton fills their places evenly; so the sum is rounded up."""
    return -(-settings.max_streams // settings.instances)


class StreamingService(Generic[PayloadT, ResultT]):
    """A loop over an engine, fed with Triton requests."""

    def __init__(
        self,
        args: Mapping[str, str],
        open_session: Callable[[AcousticSpec, Mapping[str, Any], int | str], Session[PayloadT, ResultT]],
        digest: Callable[[AcousticSpec, Sequence[Session[PayloadT, ResultT]], NDArray[np.float32]], float],
        read_payload: Callable[[Any], PayloadT],
        write_result: Callable[[Any, ResultT, StageTimes], list[Any]],
    ) -> None:
        """Create the engine and start the loop.

        Args:
            args: what Triton passes to ``initialize``.
            open_session: makes a stream's session from its START parameters and its id.
            digest: hands a batch of log-probs to its sessions; returns the microseconds that were endpointing.
            read_payload: reads a request's input; raises StreamError.
            write_result: makes the output tensors of a request's answer.

        Raises:
            TritonModelException: with one line that says why the service cannot start.
        """
        _check_numpy()
        settings = read_settings(args)
        self._one_of_several = settings.instances > 1  # they take turns on a GPU, and processor time is what is short
        self._read_payload = read_payload
        self._write_result = write_result
        self._logger = pb_utils.Logger
        self._answers: Answers[ResultT] = Answers(
            self._respond, pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL, self._logger.log_error
        )
        try:
            self._guard = Guard.from_environment(args["model_name"], self._logger.log_warn, settings.instances)
            engine, reason, max_batch = _engine(settings, args["model_instance_name"])
            spec = engine.spec
            slots = share_of(settings)
            profile = Profile(slots, spec.chunk_seconds, self._dump_to(args["model_name"]))
            self._metrics = metrics = Metrics(args["model_name"], max_batch, spec.chunk_seconds, settings.instances)
            self._loop: StreamLoop[PayloadT, ResultT] = StreamLoop(
                engine,
                lambda parameters, stream_id: open_session(spec, parameters, stream_id),
                lambda sessions, logprobs: digest(spec, sessions, logprobs),
                Limits(
                    slots,
                    max_batch,
                    settings.idle_timeout_s,
                    settings.max_call_s,
                    measured=settings.admission == "measured",
                    admin_key=os.environ.get(ADMIN_KEY_VARIABLE, ""),
                ),
                profile,
                Journal(self._logger.log_warn),
                lambda counters: metrics.tick(counters, profile.histograms),
                self._give_up,
                Board.join(os.environ.get("TRITONE_BOARD", ""), args["model_instance_name"]),
            )
            self._loop.start()
        except BackendError as error:
            raise pb_utils.TritonModelException(f"tritone: {error.user_message}") from None
        gc.collect()
        gc.freeze()  # what lives for ever need not be looked at by every collection
        reason = engine.reason if isinstance(engine, SharedEngine) else reason
        self._logger.log_info(f"tritone: {args['model_name']} serves {spec.name} on {reason}, {slots} slots")
        if spans.status():
            self._logger.log_info(f"tritone: {spans.status()}")

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Run Triton requests through the loop; what takes more than one network step is answered later.

        Returns:
            A response for each request, None for those that are answered later.
        """
        arrived = perf_counter()
        accepted = []
        self._answers.begin()
        for request in requests:
            reply = self._answers.to(request)
            try:
                caller, parameters = None, {}
                if self._guard:
                    parameters = _options(json.loads(request.parameters()))
                    caller = self._guard.check(parameters)
                flags = request.flags()
                start = bool(flags & SEQUENCE_START)
                if start and not self._guard:
                    parameters = _options(json.loads(request.parameters()))
                parsed: Request[PayloadT, ResultT] = Request(
                    stream_id=request.correlation_id(),
                    start=start,
                    end=bool(flags & SEQUENCE_END),
                    payload=self._read_payload(request),
                    parameters=parameters if start else {},
                    reply=reply,
                    arrived=arrived,
                    caller=caller,
                )
            except StreamError as error:
                self._loop.note_unread(request.correlation_id(), error)
                reply(error, new_stage_times())
            except Exception as error:  # a request that cannot even be read must be answered, or its client hangs
                unread = StreamError(Code.INTERNAL, f"the request could not be read: {error!r:.200}")
                self._loop.note_unread(request.correlation_id(), unread)
                reply(unread, new_stage_times())
            else:
                accepted.append(parsed)
        if accepted and (self._one_of_several or self._loop.pace.expected(1) < MOST_WAIT_S):
            self._loop.submit(accepted, self._answers.stepped)
            self._answers.wait()
        elif accepted:
            self._answers.postpone()
            self._loop.submit(accepted)
        return self._answers.responses()

    def finalize(self) -> None:
        """Answer what is queued and stop."""
        self._loop.stop()
        self._answers.close()
        self._metrics.stop()

    @property
    def counters(self) -> Counters:
        """What the loop counts."""
        return self._loop.counters

    def _give_up(self, why: str) -> None:
        """End this process: `tritone serve` notices at once and starts anew, and clients replay their streams."""
        self._logger.log_error(f'tritone: event=gave-up cause="{why}: a new process is needed"')
        self._answers.close()  # the answers under way tell their clients to go elsewhere
        os._exit(BROKEN_STATUS)

    def _dump_to(self, model: str) -> DumpTo:
        """Flight records go to $TRITONE_FLIGHT_DIR, when a chunk is late or on SIGUSR2."""
        folder = Path(os.environ.get("TRITONE_FLIGHT_DIR") or tempfile.gettempdir())
        try:
            return DumpTo(folder, model, self._logger.log_warn, DumpSignal().taken)
        except ValueError:  # only the main thread may ask for signals
            self._logger.log_warn("tritone: SIGUSR2 is not listened to: Triton loads models in a thread here")
            return DumpTo(folder, model, self._logger.log_warn)

    def _respond(self, wanted: set[str], result: ResultT | StreamError, stages: StageTimes) -> Any:
        """Triton's response to one request."""
        try:
            if not isinstance(result, StreamError):
                return pb_utils.InferenceResponse(self._write_result(wanted, result, stages))
        except Exception as error:  # a defect in one answer must not take its neighbours' with it
            self._logger.log_error(f"tritone: an answer could not be written: {error!r:.300}")
            result = StreamError(Code.INTERNAL, f"the answer could not be written: {error!r:.200}")
        code = getattr(pb_utils.TritonError, _TRITON_CODES[result.code])
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(result.user_message, code))


_TRITON_CODES = {
    Code.FULL: "UNAVAILABLE",
    Code.DRAINING: "UNAVAILABLE",
    Code.UNKNOWN_STREAM: "NOT_FOUND",
    Code.DUPLICATE_START: "ALREADY_EXISTS",
    Code.OVERLAP: "INVALID_ARG",
    Code.BAD_OPTION: "INVALID_ARG",
    Code.BAD_AUDIO: "INVALID_ARG",
    Code.TOO_LARGE: "INVALID_ARG",
    Code.TOO_LONG: "INVALID_ARG",
    Code.UNAUTHENTICATED: "INVALID_ARG",  # Triton's errors have no code of their own for these two
    Code.FORBIDDEN: "INVALID_ARG",
    Code.INTERNAL: "INTERNAL",
}


def _options(parameters: dict[str, Any]) -> dict[str, Any]:
    """The client's own parameters: Triton's reserved ones start with ``triton_``."""
    return {name: value for name, value in parameters.items() if not name.startswith("triton_")}


def _check_numpy() -> None:
    """Refuse a numpy that this Triton's stub cannot read: it would send empty outputs without a word."""
    probe = np.arange(3, dtype=np.float32)
    try:
        intact = np.array_equal(pb_utils.Tensor("probe", probe).as_numpy(), probe)
    except Exception:  # how it fails depends on the pair of versions
        intact = False
    if not intact:
        raise pb_utils.TritonModelException(
            f"tritone: numpy {np.__version__} does not work with this Triton's Python backend: pip install 'numpy<2'"
        )
