"""Bare requests to the service, for tests that must do what no sane client does."""

import itertools
import json
import random

import numpy as np
import tritonclient.grpc.aio as triton

_ids = itertools.count(random.randrange(1, 2**40))


def new_id() -> int:
    return next(_ids)


class Raw:
    """One connection; every method is one request.

    Args:
        address: HOST:PORT.
        headers: gRPC metadata of every request.
        connection: further arguments of Triton's own client.
    """

    def __init__(self, address: str, headers: dict[str, str] | None = None, **connection) -> None:
        self.client = triton.InferenceServerClient(address, **connection)
        self.headers = headers

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        await self.client.close()

    async def audio(self, stream, data=b"", *, start=False, end=False, timing=False, **options):
        """One `streaming_asr` request; the events, or the events and stage times."""
        content = np.frombuffer(data, np.uint8)[None]
        tensor = triton.InferInput("audio", list(content.shape), "UINT8")
        tensor.set_data_from_numpy(content)
        outputs = [triton.InferRequestedOutput("events")]
        if timing:
            outputs.append(triton.InferRequestedOutput("timing"))
        answer = await self.client.infer(
            "streaming_asr",
            [tensor],
            outputs=outputs,
            sequence_id=stream,
            sequence_start=start,
            sequence_end=end,
            parameters=options or None,
            headers=self.headers,
            client_timeout=30,
        )
        events = json.loads(answer.as_numpy("events").tobytes())
        return (events, answer.as_numpy("timing")) if timing else events

    async def chunk(self, stream, samples, *, start=False, end=False, dtype="INT32", shape=(1, 2400, 1)):
        """One `streaming_acoustic` request; log-probs float32 [10, 35]."""
        tensor = triton.InferInput("signal", list(shape), dtype)
        kind = {"INT32": np.int32, "FP32": np.float32}[dtype]
        tensor.set_data_from_numpy(np.asarray(samples, kind).reshape(shape))
        answer = await self.client.infer(
            "streaming_acoustic",
            [tensor],
            sequence_id=stream,
            sequence_start=start,
            sequence_end=end,
            headers=self.headers,
            client_timeout=30,
        )
        return answer.as_numpy("logprobs")[0]
