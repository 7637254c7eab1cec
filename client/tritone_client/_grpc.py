"""The transport over gRPC: unary ModelInfer of the KServe v2 protocol.

Knows nothing of resuming or of options' meaning; imported only when a client opens its first connection.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2

from tritone_client._errors import ProtocolError, StreamClosed, from_status
from tritone_client._options import ParameterValue
from tritone_client._tls import Tls
from tritone_client._transport import InferReply, InferRequest
from tritone_client._wire import AUDIO_INPUT, MODEL_NAME

_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_READY_METHOD = "/inference.GRPCInferenceService/ModelReady"
_CHANNEL_OPTIONS = (
    # A stream that lost its service looks for it again within a fraction of a second, not gRPC's 1 to 120 s.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", -1),
    # One connection per client, so that closing one client never waits for another's calls.
    ("grpc.use_local_subchannel_pool", 1),
    # The service's retry advice is in its message: gRPC's own transparent retries would only hide a loss.
    ("grpc.enable_retries", 0),
)
_CLOSED = "the client was closed while the stream was open"


class GrpcTransport:
    """One gRPC channel to one service.

    The generated protobuf messages are filled by hand instead of going through `tritonclient.grpc.aio`: a request here
    is one bytes object that needs no numpy array, no InferInput with its checks and copies, and no result object. That
    halves the time to build a request and read its reply (12 instead of 23 us), and the status of an error stays at
    hand.
    """

    def __init__(
        self, address: str, model: str = MODEL_NAME, *, tls: Tls | None = None, api_key: str | None = None
    ) -> None:
        self._address = address
        self._model = model
        self._tls = tls
        self._metadata = (("authorization", f"Bearer {api_key}"),) if api_key else None
        self._closed = False
        self._channel: Any = None
        self._call: Any = None
        self._ask_ready: Any = None

    @property
    def address(self) -> str:
        """Where the service is."""
        return self._address

    async def infer(self, request: InferRequest, timeout: float) -> InferReply:
        """Send one request and wait for its reply, at most `timeout` seconds.

        Raises:
            TritoneError: as `_errors.from_status` says.
        """
        self._open()
        try:
            response = await self._call(build(self._model, request), timeout=timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise from_status(error.code().name, error.details() or "", self._address) from error
        except (grpc.aio.UsageError, asyncio.CancelledError):
            # A closed channel cancels its calls; that must not look as if the caller's task were cancelled.
            if self._closed:
                raise StreamClosed(_CLOSED) from None
            raise
        names = [output.name for output in response.outputs]
        if len(names) != len(response.raw_output_contents):
            raise ProtocolError(f"{self._address} answers without raw output contents")
        return InferReply(dict(zip(names, response.raw_output_contents, strict=True)))

    async def ready(self, timeout: float) -> bool:
        """Whether Triton says that the model is loaded; False when it does not answer in time."""
        self._open()
        request = service_pb2.ModelReadyRequest(name=self._model)
        try:
            answer = await self._ask_ready(request, timeout=timeout, metadata=self._metadata)
        except (grpc.aio.AioRpcError, grpc.aio.UsageError):
            return False
        return bool(answer.ready)

    def _open(self) -> None:
        if self._closed:
            raise StreamClosed(_CLOSED)
        if self._channel is not None:
            return
        self._channel = self._connect()  # not before: a channel belongs to the event loop it is made in
        self._call = self._channel.unary_unary(
            _METHOD,
            request_serializer=service_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=service_pb2.ModelInferResponse.FromString,
        )
        self._ask_ready = self._channel.unary_unary(
            _READY_METHOD,
            request_serializer=service_pb2.ModelReadyRequest.SerializeToString,
            response_deserializer=service_pb2.ModelReadyResponse.FromString,
        )

    def _connect(self) -> Any:
        if self._tls is None:
            return grpc.aio.insecure_channel(self._address, options=_CHANNEL_OPTIONS)
        options = (*_CHANNEL_OPTIONS, *self._tls.channel_options())
        return grpc.aio.secure_channel(self._address, self._tls.channel_credentials(), options=options)

    async def close(self) -> None:
        """Close the channel; calls under way fail."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()


def build(model: str, request: InferRequest) -> Any:
    """The protobuf message of a request: ``service_pb2.ModelInferRequest``."""
    message = service_pb2.ModelInferRequest(model_name=model, raw_input_contents=[request.audio])
    message.inputs.add(name=AUDIO_INPUT, datatype="UINT8", shape=[1, len(request.audio)])
    for name in request.outputs:
        message.outputs.add(name=name)
    parameters = message.parameters
    # Triton reads the sequence id from int64_param; the unsigned field is not looked at.
    parameters["sequence_id"].int64_param = request.sequence_id
    parameters["sequence_start"].bool_param = request.start
    parameters["sequence_end"].bool_param = request.end
    for name, value in request.parameters.items():
        _set(parameters[name], value)
    return message


def _set(parameter: Any, value: ParameterValue) -> None:
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int):
        parameter.int64_param = value
    else:
        parameter.string_param = value
