"""Bytes to structured values, so that a fuzzer that knows only bytes reaches what lies behind the first check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

ValueT = TypeVar("ValueT")

INTERESTING = (0, 1, -1, 2, 7, 8, 255, 256, 7_999, 8_000, 48_000, 48_001, 2**15, 2**31 - 1, 2**31, 2**63 - 1, -(2**63))
WORDS = (
    "",
    "\0",
    "\n",
    "\x1b[2J",
    "юла",
    "\ud800",
    "a" * 300,
    "nan",
    "NaN",
    "null",
    "[tritone:full]",
    "%s",
    "../..",
    "𝄞",
)


class Reader:
    """Takes values from the front of some bytes; when they are used up, everything is zero."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not taken yet."""
        return max(0, len(self._data) - self._at)

    def bytes(self, most: int) -> bytes:
        """Up to so many bytes."""
        taken = self._data[self._at : self._at + most]
        self._at += most
        return taken

    def byte(self) -> int:
        """0 to 255."""
        return (self.bytes(1) or b"\0")[0]

    def below(self, count: int) -> int:
        """0 to ``count`` - 1."""
        return int.from_bytes(self.bytes(1 if count <= 256 else 4), "little") % count

    def pick(self, values: Sequence[ValueT]) -> ValueT:
        """One of them."""
        return values[self.below(len(values))]

    def chance(self, percent: int) -> bool:
        """True for so many of a hundred."""
        return self.byte() * 100 < percent * 256

    def integer(self) -> int:
        """One at a limit, or any that fits 64 bits."""
        return self.pick(INTERESTING) if self.chance(50) else int.from_bytes(self.bytes(8), "little", signed=True)

    def text(self) -> str:
        """A nasty word, or what the bytes spell."""
        return self.pick(WORDS) if self.chance(40) else self.bytes(self.below(40)).decode("utf-8", "surrogateescape")

    def value(self, depth: int = 2) -> object:
        """Anything that JSON can carry."""
        kind = self.below(8 if depth else 6)
        if kind == 6:
            return [self.value(depth - 1) for _ in range(self.below(4))]
        if kind == 7:
            return {self.text(): self.value(depth - 1) for _ in range(self.below(4))}
        plain = (None, True, False, self.integer(), self.text(), self.pick((0.0, 1.5, 1e308, float("nan"), -0.0)))
        return plain[kind]
