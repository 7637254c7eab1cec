"""Reads parameters by their public names from a safetensors file, a checkpoint or an ONNX graph's initialisers.

What the values mean is in architecture.py and pack.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tritone_backend.errors import ModelError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CANDIDATES = ("model.safetensors", "model.pt")
_ONNX_TYPES: dict[int, Any] = {1: np.float32, 7: np.int64, 10: np.float16, 11: np.float64}
_PREFIXES = ("tone.", "model.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return every parameter and buffer as float32 on the CPU.

    Args:
        path: ``.safetensors``, ``.pt`` or ``.onnx`` file.

    Raises:
        ModelError: the file cannot be read or holds no parameters.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found = load_file(str(path))
        elif path.suffix == ".onnx":
            found = {name: torch.from_numpy(value) for name, value in onnx_initialisers(path)}
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
            found = found.get("state_dict", found)
    except ModuleNotFoundError as error:
        raise ModelError(f"reading {path} needs {error.name}: pip install 'tritone[torch]'") from None
    except Exception as error:  # every format has exceptions of its own for a damaged file
        raise ModelError(f"{path} cannot be read as weights: {str(error)[:200]}") from None
    weights = {_public(name): value.float() for name, value in found.items()}
    if not any(name.startswith("encoder.layers.") for name in weights):
        raise ModelError(
            f"{path} holds no parameters under their public names: put model.safetensors beside model.onnx"
        )
    return weights


def weights_file(folder: Path, onnx: Path) -> Path:
    """Return the file of a model folder that holds the weights: an explicit one, else the graph."""
    return next((folder / name for name in CANDIDATES if (folder / name).is_file()), onnx)


def architecture_table(folder: Path) -> dict[str, Any]:
    """Return the ``[architecture]`` table of ``model.toml``; empty without one."""
    description = folder / "model.toml"
    if not description.is_file():
        return {}
    table = tomllib.loads(description.read_text(encoding="utf-8")).get("architecture", {})
    return table if isinstance(table, dict) else {}


def onnx_initialisers(path: Path) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Yield the named float constants of an ONNX file, without the onnx package.

    The file is a protocol buffer: field 7 of the model is the graph, its field 5 an initialiser with fields
    dims (1), data_type (2), name (8) and raw_data (9); see onnx.proto.

    Args:
        path: the file; weights must be inside it, not in external data.
    """
    content = memoryview(path.read_bytes())
    for field, graph in _fields(content):
        if field != 7 or isinstance(graph, int):
            continue
        for inner, tensor in _fields(graph):
            if inner == 5 and not isinstance(tensor, int):
                named = _tensor(tensor)
                if named is not None:
                    yield named


def _tensor(content: memoryview) -> tuple[str, np.ndarray[Any, Any]] | None:
    dims: list[int] = []
    kind, name, raw = 0, "", None
    for field, value in _fields(content):
        if field == 1:
            dims += [value] if isinstance(value, int) else list(_varints(value))
        elif field == 2 and isinstance(value, int):
            kind = value
        elif field == 8 and not isinstance(value, int):
            name = bytes(value).decode("utf-8")
        elif field == 9 and not isinstance(value, int):
            raw = value
    if raw is None or kind not in _ONNX_TYPES:
        return None
    return name, np.frombuffer(raw, _ONNX_TYPES[kind]).reshape(dims).copy()


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield field number and value (an integer, or the bytes of a longer value) of a protocol buffer."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(content, at)
            yield key >> 3, value
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            yield key >> 3, content[at : at + size]
            at += size
        elif wire == 2:
            size, at = _varint(content, at)
            yield key >> 3, content[at : at + size]
            at += size
        else:
            raise ValueError("not a protocol buffer")


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _varints(content: memoryview) -> Iterator[int]:
    at = 0
    while at < len(content):
        value, at = _varint(content, at)
        yield value


def _public(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name
