"""The seam between a stream and the network: one request in, one reply out.

The gRPC side is in `_grpc`; tests and other front ends bring their own `Transport`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

from tritone_client._errors import ProtocolError
from tritone_client._options import ParameterValue
from tritone_client._wire import EVENTS_OUTPUT


@dataclasses.dataclass(frozen=True, slots=True)
class InferRequest:
    """One request of a stream.

    Attributes:
        sequence_id: 1 to 2**63 - 1, the same for all requests of a stream.
        audio: any number of bytes, also none.
        start: first request of the stream.
        end: last request of the stream; the service flushes what it holds.
        parameters: options, read by the service on the first request only.
        outputs: names of the outputs wanted.
    """

    sequence_id: int
    audio: bytes = b""
    start: bool = False
    end: bool = False
    parameters: Mapping[str, ParameterValue] = dataclasses.field(default_factory=dict)
    outputs: tuple[str, ...] = (EVENTS_OUTPUT,)


@dataclasses.dataclass(frozen=True, slots=True)
class InferReply:
    """The raw bytes of each output, by name."""

    outputs: Mapping[str, bytes]

    @property
    def events(self) -> bytes:
        """The output ``events``: a JSON list in UTF-8.

        Raises:
            ProtocolError: the service did not send it.
        """
        try:
            return self.outputs[EVENTS_OUTPUT]
        except KeyError:
            raise ProtocolError(f"the service's answer has no output {EVENTS_OUTPUT!r}") from None


class Transport(Protocol):
    """One way to one service. Shared by all streams that go there."""

    @property
    def address(self) -> str:
        """Where the service is, for messages."""

    async def infer(self, request: InferRequest, timeout: float) -> InferReply:
        """Send one request and wait for its reply, at most `timeout` seconds.

        Raises:
            TritoneError: as `_errors.from_status` says.
        """

    async def ready(self, timeout: float) -> bool:
        """Whether the service says that it can be used; False, not an error, when it does not answer in time."""

    async def close(self) -> None:
        """Give the connection back; calls still under way fail."""
