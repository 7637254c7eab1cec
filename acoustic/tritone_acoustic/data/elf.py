"""Makes libraries optional that a Linux program is linked with but never calls: sound cards, on a machine without.

Only editing of ELF files; which files and libraries is decided in `festival_files`.
"""

from __future__ import annotations

import struct
from pathlib import Path

from tritone_acoustic.data.errors import TrainingDataError

# Numbers of the ELF format (System V gABI, chapters 4 and 5; Linux Standard Base, symbol versioning).
_DYNAMIC, _DYNSYM, _VERNEED, _VERSYM = 6, 11, 0x6FFFFFFE, 0x6FFFFFFF
_DT_NEEDED, _STB_WEAK, _VER_NDX_GLOBAL = 1, 2, 1


class _Elf:
    """A 64-bit little-endian shared object in memory."""

    def __init__(self, path: Path) -> None:
        self.data = bytearray(path.read_bytes())
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise TrainingDataError(f"{path} is no 64-bit ELF file: fetch it again")
        if b"\0libc.so.6\0" not in self.data:
            raise TrainingDataError(f"{path} does not use libc, which stands in for what is missing")
        start, size, count = *self.read("<Q", 0x28), *self.read("<HH", 0x3A)
        headers = [self.read("<IIQQQQIIQQ", start + number * size) for number in range(count)]
        # section type -> (offset, size, offset of its string table)
        self.sections = {
            kind: (offset, length, headers[link][4]) for _, kind, _, _, offset, length, link, *_ in headers
        }

    def read(self, layout: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(layout, self.data, offset)

    def write(self, layout: str, offset: int, *values: int) -> None:
        struct.pack_into(layout, self.data, offset, *values)

    def text(self, table: int, name: int) -> str:
        start = table + name
        return self.data[start : self.data.index(0, start)].decode()


def _replace_needed(elf: _Elf, libraries: frozenset[str]) -> None:
    start, size, strings = elf.sections[_DYNAMIC]
    needed = [
        (offset, elf.read("<QQ", offset)[1])
        for offset in range(start, start + size, 16)
        if elf.read("<QQ", offset)[0] == _DT_NEEDED
    ]
    kept = next(name for _, name in needed if elf.text(strings, name).startswith("libc.so"))
    for offset, name in needed:
        if elf.text(strings, name) in libraries:
            elf.write("<Q", offset + 8, kept)  # naming libc twice is harmless


def _replace_versions(elf: _Elf, libraries: frozenset[str]) -> set[int]:
    start, _, strings = elf.sections[_VERNEED]
    entries: list[tuple[str, int, int, list[int]]] = []
    offset = start
    while True:
        _, count, name, first, following = elf.read("<HHIII", offset)
        parts = [offset + first]
        for _ in range(count - 1):
            parts.append(parts[-1] + elf.read("<IHHII", parts[-1])[4])
        entries.append((elf.text(strings, name), offset, name, parts))
        if not following:
            break
        offset += following
    _, _, libc, libc_parts = next(entry for entry in entries if entry[0].startswith("libc.so"))
    code, flags, _, version, _ = elf.read("<IHHII", libc_parts[0])
    indices: set[int] = set()
    for library, offset, _, parts in entries:
        if library in libraries:
            elf.write("<I", offset + 4, libc)
            for part in parts:
                _, _, index, _, following = elf.read("<IHHII", part)
                indices.add(index)
                elf.write("<IHHII", part, code, flags, index, version, following)
    return indices


def make_optional(path: Path, libraries: frozenset[str]) -> None:
    """Edits a shared object so that it loads without some of its libraries; their functions become null.

    Args:
        path: the file, changed in place.
        libraries: names as in its NEEDED list, e.g. {"libasound.so.2"}.

    Raises:
        TrainingDataError: it is no 64-bit ELF file that uses libc.
    """
    elf = _Elf(path)
    _replace_needed(elf, libraries)
    indices = _replace_versions(elf, libraries)
    symbols, size, _ = elf.sections[_DYNSYM]
    versions = elf.sections[_VERSYM][0]
    for number in range(size // 24):
        (version,) = elf.read("<H", versions + 2 * number)
        if version & 0x7FFF in indices:
            elf.write("<H", versions + 2 * number, _VER_NDX_GLOBAL)
            (info,) = elf.read("<B", symbols + 24 * number + 4)
            elf.write("<B", symbols + 24 * number + 4, _STB_WEAK << 4 | info & 15)
    path.write_bytes(elf.data)
