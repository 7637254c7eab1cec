"""The lean HTTP/2 connection against a real gRPC server, and against peers that are none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import hpack
import pytest
from tritone_bench import kserve
from tritone_bench.errors import ServiceError
from tritone_bench.headers import StatusReader, request_headers, without_indexing
from tritone_bench.http2 import Answer, Http2Connection
from tritone_bench.reference import ask

from tests.bench.fake_service import Running

pytestmark = pytest.mark.unit


def test_both_forms_of_the_first_header_block_mean_the_same() -> None:
    first, later = request_headers("/a.B/C", "example:1")
    expected = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/a.B/C"),
        (":authority", "example:1"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]
    indexed = hpack.Decoder()
    assert indexed.decode(first) == expected
    assert indexed.decode(later) == expected
    plain = hpack.Decoder()
    assert plain.decode(without_indexing(first)) == expected
    assert plain.decode(without_indexing(first)) == expected


def test_status_and_message_are_read_huffman_coded_or_not() -> None:
    for huffman in (False, True):
        encoder = hpack.Encoder()
        encoder.header_table_size = 0
        block = encoder.encode([("grpc-status", "14"), ("grpc-message", "no slot%3A 100%25")], huffman=huffman)
        reader = StatusReader()
        assert reader.read(block) == (14, "no slot: 100%")
        assert reader.read(block) == (14, "no slot: 100%")


def collect(connection: Http2Connection[int], count: int) -> dict[int, Answer[int]]:
    found: dict[int, Answer[int]] = {}
    end = time.monotonic() + 10
    while len(found) < count:
        assert time.monotonic() < end
        connection.flush()
        for answer in connection.receive():
            found[answer.token] = answer
        time.sleep(0.001)
    return found


def test_many_calls_at_once_on_one_connection(fake: Running) -> None:
    connection: Http2Connection[int] = Http2Connection("127.0.0.1", fake.port, kserve.METHOD)
    for token in range(1, 301):
        body = kserve.chunk(bytes([token % 256]) * 4800)
        connection.call(body + kserve.identity(token) + kserve.START + kserve.END, token)
    answers = collect(connection, 300)
    connection.close()
    assert all(answer.status == 0 for answer in answers.values())
    words = {token: kserve.named_outputs(answer.payload)["events"] for token, answer in answers.items()}
    assert words[1] == words[257] != words[2]
    assert fake.service.requests == 300


def test_an_error_carries_its_status_and_text(fake: Running) -> None:
    connection: Http2Connection[None] = Http2Connection("127.0.0.1", fake.port, kserve.METHOD)
    answer = ask(connection, kserve.chunk(b"") + kserve.identity(9))
    connection.close()
    assert (answer.status, answer.message) == (5, "stream is not live [tritone:unknown-stream]")


def test_nothing_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(ServiceError, match=r"no service at 127\.0\.0\.1"):
        Http2Connection("127.0.0.1", port, kserve.METHOD)


def peer(talk: Callable[[socket.socket], None]) -> int:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, listener:
            talk(connection)

    threading.Thread(target=serve, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize(
    "talk",
    [
        lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        lambda connection: connection.close(),
        lambda connection: connection.sendall(b"\0\0\x01\x01\x05\0\0\0\x01\xff" * 3),
    ],
)
def test_peers_that_are_no_grpc_service(talk: Callable[[socket.socket], None]) -> None:
    port = peer(talk)
    with pytest.raises(ServiceError, match="does not answer as a gRPC service"):
        Http2Connection("127.0.0.1", port, kserve.METHOD, timeout_s=2.0)


def test_a_silent_peer_is_given_up() -> None:
    port = peer(lambda connection: time.sleep(3))
    with pytest.raises(ServiceError):
        Http2Connection("127.0.0.1", port, kserve.METHOD, timeout_s=0.5)


def test_a_connection_that_breaks_fails_every_open_call(fake: Running) -> None:
    fake.service.delay_s = 5.0
    connection: Http2Connection[int] = Http2Connection("127.0.0.1", fake.port, kserve.METHOD)
    for token in range(1, 4):
        connection.call(kserve.chunk(b"12") + kserve.identity(token) + kserve.START, token)
    connection.flush()
    time.sleep(0.1)
    fake.die()
    answers = collect(connection, 3)
    assert {answer.status for answer in answers.values()} <= {1, 14}
