"""How common Russian words are: the list of the `wordfreq` package, fetched with pip and read without installing it.

Which of its words are used, and for what, is decided in `word_forms`.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.pip_package import read_member

_PACKAGE = "wordfreq==3.1.1"
_MEMBER = "wordfreq/data/large_ru.msgpack.gz"


def fetch_frequencies(paths: DataPaths) -> None:
    """Downloads the package (57 MB) and keeps its Russian list.

    Args:
        paths: the data folder.

    Raises:
        TrainingDataError: pip failed, or the package holds no such list.
    """
    if paths.frequencies.exists():
        return
    paths.frequencies.write_bytes(read_member(_PACKAGE, _MEMBER))


def _unpacked(data: bytes, place: int) -> tuple[Any, int]:
    """Reads one MessagePack value of the kinds that the list has: arrays, strings, maps, small numbers."""
    kind = data[place]
    place += 1
    if kind < 0x80:
        return kind, place
    if 0xA0 <= kind < 0xC0 or 0xD9 <= kind <= 0xDB:
        wide = 0 if kind < 0xC0 else 1 << (kind - 0xD9)
        size = int.from_bytes(data[place : place + wide], "big") if wide else kind & 0x1F
        place += wide
        return data[place : place + size].decode(), place + size
    if kind < 0xA0 or 0xDC <= kind <= 0xDD:
        wide = 0 if kind < 0xA0 else 2 << (kind - 0xDC)
        size = int.from_bytes(data[place : place + wide], "big") if wide else kind & 0x0F
        place += wide
        values: list[Any] = []
        for _ in range(2 * size if kind < 0x90 else size):
            value, place = _unpacked(data, place)
            values.append(value)
        return values, place
    raise TrainingDataError(f"the word list holds a value of an unknown kind ({kind:#x})")


def read_frequencies(path: Path) -> dict[str, int]:
    """Reads the list.

    Args:
        path: the .msgpack.gz file: a header, then words by loudness, a list for each hundredth of a decade.

    Returns:
        Word -> how rare it is, in hundredths of a decade; the most common words first.

    Raises:
        TrainingDataError: it is not such a list.
    """
    try:
        header, *steps = _unpacked(gzip.decompress(path.read_bytes()), 0)[0]
    except (OSError, EOFError, IndexError, ValueError, TypeError) as error:
        raise TrainingDataError(f"cannot read {path} ({error}): remove it and run `data fetch` again") from error
    if "cB" not in header:
        raise TrainingDataError(f"{path} has an unknown format: {header}")
    return {word: step for step, words in enumerate(steps) for word in words}
