"""Python client of the streaming recognition service, and the `tritone` command line.

The public names are those below; modules with a leading underscore may change.
"""

from tritone_client._client import Client
from tritone_client._errors import (
    AudioFileError,
    BadRequest,
    CallTooLong,
    ConnectionFailed,
    Forbidden,
    InvalidAudio,
    InvalidOption,
    ProtocolError,
    ServerError,
    ServerFull,
    StreamClosed,
    StreamLost,
    TooLarge,
    TritoneError,
    Unauthenticated,
    UnknownStream,
)
from tritone_client._events import Event, Final, Partial, Word
from tritone_client._latency import LatencyRecorder, LatencySummary
from tritone_client._options import Options, Timeouts
from tritone_client._stream import Stream
from tritone_client._tls import Tls
from tritone_client._transport import InferReply, InferRequest, Transport

__all__ = [
    "AudioFileError",
    "BadRequest",
    "CallTooLong",
    "Client",
    "ConnectionFailed",
    "Event",
    "Final",
    "Forbidden",
    "InferReply",
    "InferRequest",
    "InvalidAudio",
    "InvalidOption",
    "LatencyRecorder",
    "LatencySummary",
    "Options",
    "Partial",
    "ProtocolError",
    "ServerError",
    "ServerFull",
    "Stream",
    "StreamClosed",
    "StreamLost",
    "Timeouts",
    "Tls",
    "TooLarge",
    "Transport",
    "TritoneError",
    "Unauthenticated",
    "UnknownStream",
    "Word",
]
