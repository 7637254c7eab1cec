"""The public names, options and small values."""

from __future__ import annotations

import dataclasses
import json

import pytest
import tritone_client
from hypothesis import given
from hypothesis import strategies as st
from tritone_client import (
    Client,
    Final,
    InvalidOption,
    LatencySummary,
    Options,
    Partial,
    ProtocolError,
    Timeouts,
    Word,
)
from tritone_client._chunker import Chunker
from tritone_client._events import as_dict, parse_events, shifted

pytestmark = pytest.mark.unit


def test_exported_names() -> None:
    public = {
        name for name, item in vars(tritone_client).items() if not name.startswith("_") and not inspect_is_module(item)
    }
    assert public == set(tritone_client.__all__)
    assert tritone_client.__all__ == sorted(tritone_client.__all__)
    assert all(getattr(tritone_client, name).__doc__ for name in public - {"Event"})


def inspect_is_module(item: object) -> bool:
    return type(item).__name__ == "module"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("encoding", "mp3"),
        ("sample_rate", 7999),
        ("sample_rate", 48001),
        ("endpointing_ms", 0),
        ("max_phrase_ms", -5),
        ("hotwords", "слово"),
    ],
)
def test_impossible_options(field: str, value: object) -> None:
    with pytest.raises(InvalidOption):
        Client().stream(**{field: value})  # type: ignore[arg-type]


def test_options_are_values() -> None:
    assert Options(hotwords=["а"]) == Options(hotwords=("а",))
    assert hash(Options(hotwords=["а"])) == hash(Options(hotwords=("а",)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Options().words = True  # type: ignore[misc]


def test_fields_prevail_over_options() -> None:
    stream = Client().stream(Options(words=True, sample_rate=16000), sample_rate=44100)
    assert stream.options == Options(words=True, sample_rate=44100)


@pytest.mark.parametrize("name", ["http://host:8001", "host:", ":8001", "host:port", "host:70000", "a b:1", ""])
def test_impossible_addresses(name: str) -> None:
    with pytest.raises(InvalidOption):
        Client(name)


def test_no_address_at_all() -> None:
    with pytest.raises(InvalidOption):
        Client([])


@pytest.mark.parametrize(
    ("name", "address"),
    [("host", "host:8001"), ("host:9", "host:9"), ("[::1]", "[::1]:8001"), ("[::1]:9", "[::1]:9")],
)
async def test_addresses(name: str, address: str) -> None:
    async with Client(name) as client:
        assert client.stream().address == address


@pytest.mark.parametrize("fields", [{"request": 0}, {"admission": -1}, {"resume": -1}])
def test_impossible_timeouts(fields: dict[str, float]) -> None:
    with pytest.raises(InvalidOption):
        Timeouts(**fields)


def test_a_plain_number_is_the_time_for_one_request() -> None:
    with pytest.raises(InvalidOption):
        Client(timeout=0)


def test_events_read_and_written() -> None:
    items = [
        {"type": "partial", "text": "да", "start": 0.3, "end": 0.6},
        {"type": "from a newer service", "what": 1},
        {
            "type": "final",
            "text": "да",
            "start": 0.3,
            "end": 0.6,
            "confidence": 0.9,
            "words": [{"word": "да", "start": 0.3, "end": 0.6, "confidence": 0.9}],
        },
    ]
    events = parse_events(json.dumps(items).encode())
    assert events == [Partial("да", 0.3, 0.6), Final("да", 0.3, 0.6, 0.9, (Word("да", 0.3, 0.6, 0.9),))]
    assert [as_dict(event) for event in events] == [items[0], items[2]]
    later = shifted(events[1], 0.1)
    assert (later.start, later.end, later.words[0].end) == (0.4, 0.7, 0.7)


@pytest.mark.parametrize("payload", [b"", b"{", b"7", b"[7]", b'[{"type": "final"}]', b'{"a": 1}', b"\xff"])
def test_nonsense_is_a_protocol_error(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_events(payload)


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        ([], (0, 0, 0, 0, 0)),
        ([5], (1, 5, 5, 5, 5)),
        (range(1, 101), (100, 50, 95, 99, 100)),
        ([*range(1000), 9999], (1001, 500, 950, 990, 9999)),
    ],
)
def test_latency_percentiles_are_latencies_that_occurred(milliseconds: list[int], expected: tuple[int, ...]) -> None:
    summary = LatencySummary.of(value / 1000 for value in reversed(milliseconds))
    assert dataclasses.astuple(summary) == pytest.approx(expected)


@given(
    pieces=st.lists(st.binary(max_size=6000), max_size=30),
    rate=st.sampled_from([8000, 11025, 44100]),
    encoding=st.sampled_from(["mulaw", "pcm_s16le", "pcm_f32le"]),
)
def test_chunker_keeps_every_byte(pieces: list[bytes], rate: int, encoding: str) -> None:
    options = Options(sample_rate=rate, encoding=encoding)
    chunker = Chunker(options)
    assert chunker.size % options.sample_width == 0
    sent = [chunker.push(piece) for piece in pieces]
    assert all(len(piece) % chunker.size == 0 for piece in sent)
    rest = chunker.flush()
    assert len(rest) < chunker.size
    assert b"".join([*sent, rest]) == b"".join(pieces)
    assert chunker.flush() == b""


def test_chunks_are_the_networks_own_at_its_rate() -> None:
    assert Chunker(Options()).size == 4800
    assert Chunker(Options(sample_rate=16000)).size == 3200
