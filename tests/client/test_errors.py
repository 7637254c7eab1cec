"""A service's errors become the right exception, with one line for a person."""

from __future__ import annotations

import inspect

import pytest
import tritone_client
from tritone_client import _errors
from tritone_client._errors import from_status, parse_tag

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("UNAVAILABLE", "no free slot [tritone:full retry_after_s=2]", tritone_client.ServerFull),
        ("UNAVAILABLE", "stopping [tritone:draining retry_after_s=5]", tritone_client.ServerFull),
        ("NOT_FOUND", "not known here [tritone:unknown-stream]", tritone_client.UnknownStream),
        ("ALREADY_EXISTS", "alive [tritone:duplicate-start]", tritone_client.UnknownStream),
        ("INVALID_ARGUMENT", "bad value [tritone:bad-option]", tritone_client.InvalidOption),
        ("INVALID_ARGUMENT", "nan [tritone:bad-audio]", tritone_client.InvalidAudio),
        ("INVALID_ARGUMENT", "3 MiB [tritone:too-large]", tritone_client.TooLarge),
        ("INVALID_ARGUMENT", "two at once [tritone:overlap]", tritone_client.BadRequest),
        ("INTERNAL", "engine [tritone:internal]", tritone_client.ServerError),
        (
            "INVALID_ARGUMENT",
            "inference request for sequence 8 to model 'streaming_asr' must specify the START flag on the first",
            tritone_client.UnknownStream,
        ),
        ("UNAVAILABLE", "failed to connect to all addresses", tritone_client.ConnectionFailed),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", tritone_client.ConnectionFailed),
        ("CANCELLED", "server exiting", tritone_client.ConnectionFailed),
        ("NOT_FOUND", "Request for unknown model: 'streaming_asr' is not found", tritone_client.ProtocolError),
        ("UNIMPLEMENTED", "Method not found!", tritone_client.ProtocolError),
        ("INVALID_ARGUMENT", "unexpected shape for input 'audio'", tritone_client.BadRequest),
        ("INTERNAL", "Stub process 'streaming_asr_0_0' is not healthy.", tritone_client.ConnectionFailed),
        ("UNKNOWN", "", tritone_client.ServerError),
    ],
)
def test_kinds(status: str, message: str, kind: type[Exception]) -> None:
    error = from_status(status, message, "host:8001")
    assert type(error) is kind
    assert "[tritone" not in error.user_message
    assert "\n" not in error.user_message
    assert error.user_message


def test_tag_values() -> None:
    assert parse_tag("full: 1 of 1 [tritone:full retry_after_s=2.5 slots=1]") == (
        "full: 1 of 1",
        "full",
        {"retry_after_s": "2.5", "slots": "1"},
    )
    assert parse_tag("no [tritone:full] at the end") == ("no [tritone:full] at the end", None, {})


@pytest.mark.parametrize(
    ("value", "seconds"), [("2", 2.0), ("0.5", 0.5), ("x", 1.0), ("-1", 1.0), ("nan", 1.0), ("inf", 1.0)]
)
def test_retry_after(value: str, seconds: float) -> None:
    error = from_status("UNAVAILABLE", f"full [tritone:full retry_after_s={value}]", "host:8001")
    assert isinstance(error, tritone_client.ServerFull)
    assert error.retry_after_s == seconds


def test_retry_after_may_be_missing() -> None:
    error = from_status("UNAVAILABLE", "full [tritone:full]", "host:8001")
    assert isinstance(error, tritone_client.ServerFull)
    assert error.retry_after_s == 1.0


def test_every_exception_is_in_the_tree_drawn_and_exported() -> None:
    """The tree is closed: one base, each class drawn in the module's docstring and public."""
    classes = [item for _, item in inspect.getmembers(_errors, inspect.isclass) if issubclass(item, Exception)]
    assert len(classes) == 16
    for item in classes:
        assert issubclass(item, tritone_client.TritoneError)
        assert f" {item.__name__}" in (_errors.__doc__ or "")
        assert item.__name__ in tritone_client.__all__
        assert item.__doc__
