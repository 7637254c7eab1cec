"""Every exception of the client, and how a service's error becomes one of them.

No retry policy lives here: `_stream` decides which errors end a stream and which are survived.

* TritoneError
    - ConnectionFailed        no answer: refused, broken off, timed out
    - ServerFull              every slot is taken, or the service is about to stop (`retry_after_s`)
    - StreamLost              a stream broke and could not be resumed in time (`events`: its last ones)
        + UnknownStream       the service does not know this stream (seen only below `Stream`, which resumes)
    - ServerError             the service failed on its own account
    - ProtocolError           something answers there, but it is no Tritone service
    - BadRequest              the service, or the client before it, refused what was asked
        + InvalidOption
        + InvalidAudio
        + TooLarge
        + CallTooLong         the call has lasted as long as the service allows; finish it
        + Unauthenticated     the service asks for an API key, or does not accept this one
        + Forbidden           the API key is not for this
        + StreamClosed        the stream was finished or closed before
    - AudioFileError          a file, or standard input, is not audio that can be read

Each has `user_message`, one line for a person, and `exit_status`, what a command ends with on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tritone_client._wire import MODEL_NAME

if TYPE_CHECKING:
    from tritone_client._events import Event


class TritoneError(Exception):
    """Base of everything this package raises on purpose."""

    exit_status = 1

    @property
    def user_message(self) -> str:
        """What is wrong and how to mend it, in one line."""
        return " ".join(str(self).split())


class ConnectionFailed(TritoneError):  # noqa: N818
    """No answer came: nothing listens there, the connection broke, or the request timed out."""


class ServerFull(TritoneError):  # noqa: N818
    """The service takes no new stream now: its slots are taken, or it is about to stop."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StreamLost(TritoneError):  # noqa: N818
    """A stream broke and could not be resumed; `events` holds what had arrived and was not yet returned."""

    def __init__(self, message: str, events: Sequence[Event] = ()) -> None:
        super().__init__(message)
        self.events = tuple(events)


class UnknownStream(StreamLost):
    """The service does not know this stream: ended, idle for too long, or the service was restarted."""


class ServerError(TritoneError):
    """The service failed on its own account; its log says more."""


class ProtocolError(TritoneError):
    """Something answers at that address, but not as a Tritone service does."""


class BadRequest(TritoneError):  # noqa: N818
    """What was asked cannot be done; a stream that was open goes on as if it had not been asked."""

    exit_status = 2


class InvalidOption(BadRequest):
    """An option has a value that is unknown or out of range."""


class InvalidAudio(BadRequest):
    """The bytes sent are not audio in the encoding of the stream."""


class TooLarge(BadRequest):
    """One request carried more audio than the service takes."""


class CallTooLong(BadRequest):
    """The call has lasted as long as the service allows: `finish` it, and open another stream for what follows."""


class Unauthenticated(BadRequest):
    """The service asks for an API key, or does not accept the one it was sent."""


class Forbidden(BadRequest):
    """The API key is valid, but not for what was asked."""


class StreamClosed(BadRequest):
    """The stream was finished or closed before."""


class AudioFileError(TritoneError):
    """A file, or standard input, does not hold audio that can be read."""


_TAG: Final = re.compile(r"\s*\[tritone:([a-z-]+)((?: [a-z_]+=[^\s\]]+)*)\]\s*$")
# Triton's own answer to a request of a sequence that it does not know; it carries no tag.
_NO_START: Final = "must specify the START flag"
# Triton's words while it stops or starts, and for a model whose process died: the stream goes on elsewhere, or later.
_STOPPING: Final = "stopped accepting new inference requests"
_PASSING: Final = ("has no available versions", "is not at ready state", "is not healthy", "Server not ready")
_BAD_REQUESTS: Final[dict[str, type[BadRequest]]] = {
    "bad-option": InvalidOption,
    "bad-audio": InvalidAudio,
    "too-large": TooLarge,
    "too-long": CallTooLong,
    "unauthenticated": Unauthenticated,
    "forbidden": Forbidden,
}
_TLS_FAILURES: Final = {
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not signed by an authority that is trusted here (--tls ca=PEM)",
    "Hostname Verification": "its certificate is for another name (use that name, or --tls name=NAME)",
    "WRONG_VERSION_NUMBER": "it does not speak TLS (leave --tls out)",
    "handshake failed": "the two could not agree on TLS; are certificates valid today?",
}
"""What gRPC says when TLS fails, and what that means to a person."""
_UNREACHABLE: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})
_DEFAULT_RETRY_AFTER_S: Final = 1.0


def parse_tag(message: str) -> tuple[str, str | None, dict[str, str]]:
    """Split a service's message into its text, the code of its tag and the tag's values.

    Args:
        message: for example ``"no free slot: 64 of 64 are taken [tritone:full retry_after_s=2]"``.

    Returns:
        The text without the tag, the code (None where there is no tag) and the key=value pairs.
    """
    found = _TAG.search(message)
    if found is None:
        return message.strip(), None, {}
    values = dict(pair.split("=", 1) for pair in found.group(2).split())
    return message[: found.start()].strip(), found.group(1), values


def from_status(status: str, message: str, address: str) -> TritoneError:
    """Turn a failed call into an exception.

    Args:
        status: name of the gRPC status code, such as ``"UNAVAILABLE"``.
        message: the details that came with it; a Tritone service ends them with a tag.
        address: where the call went, for the message.

    Returns:
        The exception to raise; never raises itself.
    """
    text, code, values = parse_tag(message)
    if code in ("full", "draining"):
        return ServerFull(text, _seconds(values.get("retry_after_s")))
    if code in ("unknown-stream", "duplicate-start") or _NO_START in text:
        return UnknownStream(text)
    if code in _BAD_REQUESTS:
        return _BAD_REQUESTS[code](text)
    if code is None and _STOPPING in text:
        return ServerFull(f"{address} is being stopped and takes no new streams")
    if code is None and any(sign in text for sign in _PASSING):
        return ConnectionFailed(f"{address} is starting, stopping or broken ({text})")
    if code is None and status in _UNREACHABLE:
        return ConnectionFailed(_unreachable(status, text, address))
    if code is None and status in ("NOT_FOUND", "UNIMPLEMENTED"):
        return ProtocolError(f"{address} has no model {MODEL_NAME!r}: is it a Tritone service? ({text})")
    if (code is None and status == "INVALID_ARGUMENT") or code not in (None, "internal"):
        return BadRequest(text)
    return ServerError(f"{address} failed: {text}")


def _unreachable(status: str, text: str, address: str) -> str:
    if status == "DEADLINE_EXCEEDED":
        return f"{address} did not answer in time; it may be overloaded: try again or use a longer timeout"
    for sign, remedy in _TLS_FAILURES.items():
        if sign in text:
            return f"no encrypted connection to {address}: {remedy}"
    reason = text.rpartition(": ")[2]  # gRPC tells the whole way there first
    if reason == "Socket closed":
        return f"{address} closed the connection; it may have stopped, or want TLS or a client certificate (--tls)"
    return f"no answer from {address} ({reason}); start the service with 'tritone serve', or give its address"


def _seconds(value: str | None) -> float:
    try:
        seconds = float(value) if value is not None else _DEFAULT_RETRY_AFTER_S
    except ValueError:
        return _DEFAULT_RETRY_AFTER_S
    return seconds if 0.0 <= seconds < float("inf") else _DEFAULT_RETRY_AFTER_S
