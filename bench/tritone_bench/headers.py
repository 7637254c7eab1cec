"""HTTP/2 header blocks of unary gRPC calls (RFC 7541). Frames and sockets are in http2."""

from __future__ import annotations

from urllib.parse import unquote

from hpack import Decoder

MAX_KNOWN_BLOCKS = 1000
_UNKNOWN = 2


def _literal(name_index: int, name: bytes, value: bytes) -> bytes:
    """A header that the peer adds to its table: literal with incremental indexing, no Huffman code."""
    head = bytes([0x40 | name_index]) if name_index else bytes([0x40, len(name)]) + name
    if len(value) > 126:
        raise ValueError("a header value that long needs a longer prefix")
    return head + bytes([len(value)]) + value


def request_headers(path: str, authority: str) -> tuple[bytes, bytes]:
    """The header block of a connection's first call, and the six bytes that do for all later ones."""
    first = (
        b"\x83\x86"  # :method POST, :scheme http, both from the static table
        + _literal(4, b"", path.encode())
        + _literal(1, b"", authority.encode())
        + _literal(0, b"te", b"trailers")
        + _literal(31, b"", b"application/grpc")
    )
    return first, b"\x83\x86\xc1\xc0\xbf\xbe"  # the peer's table holds the four above, the oldest at 65


def without_indexing(first: bytes) -> bytes:
    """The first call's block as literals without indexing, for a peer that keeps too small a table."""
    out, at = bytearray(first[:2]), 2
    while at < len(first):
        index, start = first[at] & 0x3F, at + 1
        at = start
        if index == 0:
            at += 1 + first[at]
        at += 1 + first[at]
        # An index has four bits here, so 15 and above continue in a second byte.
        out += (bytes([index]) if index < 15 else bytes([15, index - 15])) + first[start:at]
    return bytes(out)


class StatusReader:
    """Reads gRPC statuses from header blocks; a block that was seen before costs one look-up.

    That is sound because our settings forbid the peer a header table: equal bytes mean equal headers.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=1 << 16)
        self._decoder.max_allowed_table_size = 0
        self._known: dict[bytes, tuple[int, str] | None] = {}

    def read(self, block: bytes) -> tuple[int, str] | None:
        """Status code and message of the call, or None when the block carries none.

        Raises:
            HPACKError: the block is malformed.
        """
        if block in self._known:
            return self._known[block]
        headers: dict[str, str] = {str(name): str(value) for name, value in self._decoder.decode(block)}
        status, message = headers.get("grpc-status"), headers.get("grpc-message", "")
        if status is None and headers.get(":status", "200") != "200":
            status, message = str(_UNKNOWN), f"HTTP status {headers[':status']}"
        found = None if status is None else (int(status) if status.isdigit() else _UNKNOWN, unquote(message))
        if len(self._known) >= MAX_KNOWN_BLOCKS:  # the text of an error can differ in every call
            self._known.clear()
        self._known[block] = found
        return found
