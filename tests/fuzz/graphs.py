"""Target: a damaged or hostile model.onnx is refused in one line, before anything is served from it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from tritone_backend.errors import ModelError
from tritone_backend.models.graph import read_sizes

from tests.fuzz.parsers import SCRATCH, one_line
from tests.fuzz.reader import Reader
from tests.serve.tiny_model import write_model

_good = (write_model(SCRATCH / "tiny") / "model.onnx").read_bytes()


def graph(data: bytes) -> None:
    """A small graph with some bytes changed, cut or repeated; or any bytes at all."""
    reader = Reader(data)
    content = bytearray(_good)
    if reader.chance(90):
        for _ in range(1 + reader.below(6)):
            at = reader.below(len(content)) if content else 0
            kind = reader.below(4)
            if kind == 0:
                content[at : at + 1] = bytes([reader.byte()])
            elif kind == 1:
                del content[at : at + 1 + reader.below(32)]
            elif kind == 2:
                content[at:at] = reader.bytes(8)
            else:
                content[at:at] = content[at : at + reader.below(64)]
    else:
        content = bytearray(data)
    path = SCRATCH / "model.onnx"
    path.write_bytes(content)
    try:
        with _quiet():
            sizes = read_sizes(path)
    except ModelError as error:
        one_line(error)
        return
    assert min(sizes.chunk_samples, sizes.frames, sizes.classes, sizes.state) > 0


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The runtime's own complaints go to the terminal, not to its caller."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
