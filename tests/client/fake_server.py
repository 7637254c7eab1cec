"""`FakeService` behind a real gRPC server in this process, speaking ModelInfer of the KServe v2 protocol."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from concurrent import futures
from typing import Any

import grpc.aio
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritone_client import InferRequest

from tests.client.fake_service import FakeService, Status


def to_request(message: Any) -> InferRequest:
    (tensor,) = message.inputs
    assert (tensor.name, tensor.datatype) == ("audio", "UINT8")
    assert list(tensor.shape) == [1, len(message.raw_input_contents[0])]
    values = {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in message.parameters.items()}
    return InferRequest(
        values.pop("sequence_id"),
        message.raw_input_contents[0],
        start=values.pop("sequence_start"),
        end=values.pop("sequence_end"),
        parameters=values,
    )


def to_response(payload: bytes) -> Any:
    response = service_pb2.ModelInferResponse(model_name="streaming_asr", raw_output_contents=[payload])
    response.outputs.add(name="events", datatype="UINT8", shape=[1, len(payload)])
    return response


class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    def __init__(self, service: FakeService) -> None:
        self.service = service

    async def ModelInfer(self, message: Any, context: Any) -> Any:
        if message.model_name != "streaming_asr":
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown model")
        try:
            payload = self.service.handle(to_request(message))
        except Status as error:
            await context.abort(grpc.StatusCode[error.status], error.message)
        return to_response(payload)


class FakeServer:
    """A server that can be stopped and started again on the same port."""

    def __init__(self, service: FakeService) -> None:
        self.service = service
        self.port = 0
        self._server: Any = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(self.service), self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None


@contextlib.asynccontextmanager
async def serve(service: FakeService) -> AsyncIterator[FakeServer]:
    server = FakeServer(service)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@contextlib.contextmanager
def serve_from_thread(service: FakeService) -> Iterator[str]:
    """The same for code that runs its own event loop. Yields the address."""

    class Blocking(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
        def ModelInfer(self, message: Any, context: Any) -> Any:
            request = to_request(message)
            try:
                payload = service.handle(request)
            except Status as error:
                context.abort(grpc.StatusCode[error.status], error.message)
            return to_response(payload)

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Blocking(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
