"""The errors a user of the service can cause or meet, each one line with its remedy. No Triton here."""

from __future__ import annotations

from enum import Enum

MOST_WORDS = 800
"""Characters of a rejected request's message: what callers sent is in some, and must not make it endless."""


def one_line(text: str) -> str:
    """The text without line breaks and what else a terminal or a log would obey: some of it is a caller's."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


class BackendError(Exception):
    """Base of every error this package raises on purpose.

    Attributes:
        user_message: one line: what is wrong and how to mend it.
    """

    def __init__(self, user_message: str) -> None:
        user_message = one_line(user_message)
        super().__init__(user_message)
        self.user_message = user_message


class ModelError(BackendError):
    """A model folder is missing a file or its files do not fit together."""


class EngineError(BackendError):
    """An engine cannot run on this machine, or failed while running."""


class Code(str, Enum):
    """Machine-readable reason of a rejected request: the wire contract that clients rely on."""

    FULL = "full"
    DRAINING = "draining"
    UNKNOWN_STREAM = "unknown-stream"
    DUPLICATE_START = "duplicate-start"
    BAD_OPTION = "bad-option"
    BAD_AUDIO = "bad-audio"
    OVERLAP = "overlap"
    TOO_LARGE = "too-large"
    TOO_LONG = "too-long"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    INTERNAL = "internal"


class StreamError(BackendError):
    """One request of one stream is rejected; no other stream notices.

    The text ends in a tag ``[tritone:CODE key=value ...]`` that clients parse.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        retry_after_s: float | None = None,
        reason: str | None = None,
        live: int | None = None,
    ) -> None:
        """The ``reason`` is a word for counters, where it says more than the code; ``live`` counts live streams."""
        tag = f"tritone:{code.value}"
        if retry_after_s is not None:
            tag += f" retry_after_s={retry_after_s:g}"
        if live is not None:
            tag += f" live={live}"
        super().__init__(f"{message[:MOST_WORDS]} [{tag}]")
        self.code = code
        self.reason = reason or code.value
        self.retry_after_s = retry_after_s

    @property
    def ends_stream(self) -> bool:
        """Whether the stream is gone after this error; otherwise the request simply had no effect."""
        return self.code in (Code.FULL, Code.DRAINING, Code.UNKNOWN_STREAM, Code.INTERNAL)
