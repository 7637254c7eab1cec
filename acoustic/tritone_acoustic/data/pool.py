"""The pool of synthesised utterances on disk: each worker appends to its own two files, a reader follows.

Audio is written before its index line, so a reader or a crash never sees half an utterance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

_FLUSH_EVERY = 8


class PoolWriter:
    """Appends utterances to NUMBER.pcm (int16, 8 kHz) and NUMBER.tsv (offset, length, voice, transcript).

    Args:
        folder: the pool; created if missing.
        number: the writer's own number; no two live writers share one.
    """

    def __init__(self, folder: Path, number: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._audio = (folder / f"{number:03}.pcm").open("ab")
        self._index = (folder / f"{number:03}.tsv").open("a", encoding="utf-8")
        if self._audio.tell() % 2:  # a crash may have left half a sample
            self._audio.write(b"\0")
        self._offset = self._audio.tell() // 2
        self._lines: list[str] = []

    def append(self, voice: str, label: str, samples: NDArray[np.int16]) -> None:
        """Adds one utterance.

        Args:
            voice: who speaks.
            label: normalised transcript.
            samples: int16 [n], 8 kHz.
        """
        self._audio.write(samples.astype("<i2").tobytes())
        self._lines.append(f"{self._offset}\t{len(samples)}\t{voice}\t{label}\n")
        self._offset += len(samples)
        if len(self._lines) >= _FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Makes everything appended so far visible to readers."""
        self._audio.flush()
        self._index.write("".join(self._lines))
        self._index.flush()
        self._lines.clear()

    def __enter__(self) -> PoolWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
        self._audio.close()
        self._index.close()


@dataclass(frozen=True)
class PoolBlock:
    """New utterances of one worker.

    Attributes:
        samples: int16 [n], 8 kHz, all of them joined.
        offsets: int64 [u], first sample of each within `samples`.
        lengths: int64 [u].
        voices: who speaks, u names.
        labels: u normalised transcripts.
    """

    samples: NDArray[np.int16]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    voices: list[str]
    labels: list[str]


class PoolReader:
    """Follows a pool folder and hands out what is new.

    Args:
        folder: the pool; may not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}

    def poll(self) -> Iterator[PoolBlock]:
        """Reads what was appended since the last call.

        Yields:
            One block per worker that has something new.
        """
        for index in sorted(self._folder.glob("*.tsv")):
            with index.open("rb") as stream:
                stream.seek(self._read.get(index.name, 0))
                data = stream.read()
            complete = data[: data.rfind(b"\n") + 1]
            if not complete:
                continue
            self._read[index.name] = self._read.get(index.name, 0) + len(complete)
            rows = [line.split("\t") for line in complete.decode().splitlines()]
            offsets = np.array([int(row[0]) for row in rows], dtype=np.int64)
            lengths = np.array([int(row[1]) for row in rows], dtype=np.int64)
            first, last = int(offsets[0]), int(offsets[-1] + lengths[-1])
            samples = np.fromfile(index.with_suffix(".pcm"), "<i2", count=last - first, offset=2 * first)
            yield PoolBlock(samples, offsets - first, lengths, [row[2] for row in rows], [row[3] for row in rows])
