"""One HTTP/2 connection that carries unary gRPC calls, as lean as Python allows. Knows no message formats.

Why not grpc.aio: it spends hundreds of microseconds of CPU on a call, a few times what the service itself spends, so
that on one machine the generator would be what saturates. Here a call is one joined bytes object with six
indexed header bytes, and an answer costs one dictionary look-up per header block (docs: RFC 9113, RFC 7541).
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from hpack import HPACKError

from tritone_bench.errors import ServiceError
from tritone_bench.headers import StatusReader, request_headers, without_indexing

TokenT = TypeVar("TokenT")

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DEFAULT_WINDOW = 65_535
MAX_FRAME = 16_384
STREAM_WINDOW = 1 << 24
CONNECTION_WINDOW = 1 << 30
HANDSHAKE_TIMEOUT_S = 10.0
_FRAME = struct.Struct(">IBI")  # length and type share the first word
_UNAVAILABLE = 14


@dataclass(slots=True)
class Answer(Generic[TokenT]):
    """What came back for one call.

    Attributes:
        token: what the caller gave with the call.
        status: gRPC status code; 0 is success.
        message: text of an error.
        payload: the answer's message, without gRPC's five bytes of prefix.
    """

    token: TokenT
    status: int
    message: str
    payload: bytes


class ConnectionLostError(ServiceError):
    """The peer closed the connection or spoke something else than HTTP/2."""


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One HTTP/2 frame."""
    return _FRAME.pack(len(payload) << 8 | kind, flags, stream) + payload


class Http2Connection(Generic[TokenT]):
    """A connection to one service; calls of one method, answers in any order.

    The socket is non-blocking after construction: `call` queues, `flush` writes what the socket takes, `receive`
    reads what is there. Header compression towards us is switched off, so that equal header blocks mean equal
    headers and each is decoded once.
    """

    def __init__(self, host: str, port: int, path: str, timeout_s: float = HANDSHAKE_TIMEOUT_S) -> None:
        """Connect and exchange settings.

        Raises:
            ServiceError: nothing listens there, or it does not speak HTTP/2.
        """
        self.address = f"{host}:{port}"
        try:
            self._socket = socket.create_connection((host, port), timeout_s)
        except OSError as error:
            raise ServiceError(f"no service at {self.address} ({error}); start one with 'tritone serve'") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._out: list[bytes] = []
        self._unsent = memoryview(b"")
        self._in = bytearray()
        self._next_stream = 1
        self._window = DEFAULT_WINDOW
        self._stream_window = DEFAULT_WINDOW
        self._max_open = 1 << 31
        self._consumed = 0
        self._waiting: deque[tuple[bytes, TokenT]] = deque()  # calls that the peer's windows hold back
        self._open: dict[int, TokenT] = {}
        self._bodies: dict[int, bytes] = {}
        self._statuses = StatusReader()
        self._settled = False
        self.lost: str | None = None
        self._first_headers, self._later_headers = request_headers(path, self.address)
        self._shake_hands(timeout_s)

    def fileno(self) -> int:
        """The socket's descriptor, for select."""
        return self._socket.fileno()

    @property
    def in_flight(self) -> int:
        """Calls without an answer."""
        return len(self._open) + len(self._waiting)

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait for the socket."""
        return bool(self._unsent) or bool(self._out)

    def call(self, message: bytes, token: TokenT) -> None:
        """Queue a call with a serialised message; its answer will carry the token."""
        size = len(message) + 5
        if size > min(MAX_FRAME, self._stream_window):
            raise ValueError(f"a message of {len(message)} bytes does not fit in one frame")
        if self._waiting or size > self._window or len(self._open) >= self._max_open:
            self._waiting.append((message, token))
        else:
            self._send(message, token)

    def flush(self) -> None:
        """Write as much as the socket takes now."""
        if self._out:
            self._unsent = memoryview(b"".join([bytes(self._unsent), *self._out]))
            self._out.clear()
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            except OSError as error:
                self._lose(str(error))
                return
            self._unsent = self._unsent[sent:]

    def receive(self) -> list[Answer[TokenT]]:
        """Read what is there and return the calls that it completes; a lost connection fails all of them."""
        answers: list[Answer[TokenT]] = []
        try:
            data = self._socket.recv(1 << 18)
        except BlockingIOError:
            return answers
        except OSError as error:
            self._lose(str(error))
            data = b""
        if not data:
            self._lose("the service closed the connection")
            return self.abandon()
        self._in += data
        try:
            self._read_frames(answers)
        except (ConnectionLostError, HPACKError, struct.error, IndexError) as error:
            self._lose(f"this is no gRPC service: {error}")
        if self.lost is not None:
            answers += self.abandon()
        return answers

    def abandon(self) -> list[Answer[TokenT]]:
        """Give up every open call and close."""
        tokens = [*self._open.values(), *(token for _, token in self._waiting)]
        self._open.clear()
        self._waiting.clear()
        self._bodies.clear()
        self.close()
        return [Answer(token, _UNAVAILABLE, self.lost or "connection closed", b"") for token in tokens]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _lose(self, why: str) -> None:
        if self.lost is None:
            self.lost = why

    def _send(self, message: bytes, token: TokenT) -> None:
        stream = self._next_stream
        self._next_stream += 2
        headers = self._later_headers if stream > 1 else self._first_headers
        size = len(message) + 5
        self._window -= size
        self._open[stream] = token
        self._out += (
            _FRAME.pack(len(headers) << 8 | HEADERS, END_HEADERS, stream),
            headers,
            _FRAME.pack(size << 8 | DATA, END_STREAM, stream),
            b"\0" + len(message).to_bytes(4, "big"),
            message,
        )

    def _send_waiting(self) -> None:
        while self._waiting and len(self._open) < self._max_open:
            message, token = self._waiting[0]
            if len(message) + 5 > self._window:
                return
            self._waiting.popleft()
            self._send(message, token)

    def _shake_hands(self, timeout_s: float) -> None:
        settings = struct.pack(">HIHIHI", 1, 0, 2, 0, 4, STREAM_WINDOW)  # no header table, no push, wide windows
        grow = struct.pack(">I", CONNECTION_WINDOW - DEFAULT_WINDOW)
        self._out.append(PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, grow))
        self._socket.settimeout(timeout_s)
        while not self._settled and self.lost is None:
            self.flush()
            self.receive()
        if self.lost is not None:
            self.close()
            raise ServiceError(f"{self.address} does not answer as a gRPC service ({self.lost})")
        self._socket.setblocking(False)

    def _read_frames(self, answers: list[Answer[TokenT]]) -> None:
        buffer, at, end = self._in, 0, len(self._in)
        while end - at >= 9:
            head, flags, stream = _FRAME.unpack_from(buffer, at)
            length = head >> 8
            if length > MAX_FRAME:
                raise ConnectionLostError(f"a frame of {length} bytes")
            if end - at - 9 < length:
                break
            payload = bytes(buffer[at + 9 : at + 9 + length])
            at += 9 + length
            self._take(head & 0xFF, flags, stream & 0x7FFF_FFFF, payload, answers)
        del buffer[:at]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes, answers: list[Answer[TokenT]]) -> None:
        if kind == DATA:
            self._take_data(flags, stream, payload)
        elif kind == HEADERS:
            if not flags & END_HEADERS:
                raise ConnectionLostError("a header block in several frames")
            status = self._statuses.read(_unpadded(flags, payload, priority=True))
            if flags & END_STREAM and stream in self._open:
                code, message = status or (2, "no gRPC status in the answer")
                answers.append(Answer(self._open.pop(stream), code, message, self._bodies.pop(stream, b"")[5:]))
                self._send_waiting()
        elif kind == WINDOW_UPDATE:
            if stream == 0:
                self._window += int.from_bytes(payload, "big")
                self._send_waiting()
        elif kind == SETTINGS:
            self._take_settings(flags, payload)
        elif kind == PING:
            if not flags & ACK:
                self._out.append(frame(PING, ACK, 0, payload))
        elif kind == RST_STREAM:
            if stream in self._open:
                self._bodies.pop(stream, None)
                reason = f"the service reset the call (HTTP/2 error {int.from_bytes(payload, 'big')})"
                answers.append(Answer(self._open.pop(stream), _UNAVAILABLE, reason, b""))
        elif kind == GOAWAY:
            self._lose("the service is closing its connections")
        elif kind == CONTINUATION:
            raise ConnectionLostError("a header block in several frames")

    def _take_data(self, flags: int, stream: int, payload: bytes) -> None:
        self._consumed += len(payload)
        if self._consumed > CONNECTION_WINDOW // 4:
            self._out.append(frame(WINDOW_UPDATE, 0, 0, self._consumed.to_bytes(4, "big")))
            self._consumed = 0
        if stream in self._open:
            body = _unpadded(flags, payload, priority=False)
            self._bodies[stream] = self._bodies[stream] + body if stream in self._bodies else body

    def _take_settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            self._settled = True
            return
        for at in range(0, len(payload), 6):
            name, value = struct.unpack_from(">HI", payload, at)
            if name == 1 and value < 4096:  # the peer keeps fewer headers than our first block relies on
                self._first_headers = self._later_headers = without_indexing(self._first_headers)
            elif name == 3:
                self._max_open = value
            elif name == 4:
                self._stream_window = value
        self._out.append(frame(SETTINGS, ACK, 0, b""))


def _unpadded(flags: int, payload: bytes, *, priority: bool) -> bytes:
    if flags & PADDED:
        payload = payload[1 : len(payload) - payload[0]]
    return payload[5:] if priority and flags & PRIORITY else payload
