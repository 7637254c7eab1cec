"""Checkpoint files: full ones to go on training, compact ones to evaluate, export and carry in parts.

What is in a full checkpoint is decided by `learner` and `loop`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tomllib
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from torch import Tensor

from tritone_acoustic.config import AcousticConfig
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.network import AcousticModel

PART_BYTES = 12 * 2**20


def save_full(state: dict[str, Any], path: Path) -> None:
    """Writes a full checkpoint; a crash leaves the old one whole.

    Args:
        state: tensors and plain values.
        path: the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".tmp")
    torch.save(state, fresh)
    fresh.replace(path)


def load_full(path: Path, device: torch.device) -> dict[str, Any]:
    """Reads a full checkpoint.

    Args:
        path: the file.
        device: where its tensors go.

    Returns:
        What was saved.
    """
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state


def save_compact(config: AcousticConfig, weights: dict[str, Tensor], path: Path, notes: dict[str, str]) -> None:
    """Writes weights for use: matrices in float16, vectors and statistics in float32.

    Args:
        config: architecture, stored in the header.
        weights: state_dict of the network.
        path: a .safetensors file.
        notes: further header entries.
    """
    from safetensors.torch import save_file

    tensors = {name: (value.half() if value.ndim > 1 else value).cpu().contiguous() for name, value in weights.items()}
    header = {"config": json.dumps(config.to_dict()), **notes}
    fresh = path.with_suffix(".tmp")
    save_file(tensors, fresh, metadata=header)
    fresh.replace(path)


def read_compact(path: Path) -> tuple[AcousticConfig, dict[str, Tensor]]:
    """Reads a compact checkpoint.

    Args:
        path: a .safetensors file.

    Returns:
        The architecture, and float32 weights (integers stay integers).

    Raises:
        TrainingDataError: the file is missing or no compact checkpoint.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stream:
            header = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError) as error:
        raise TrainingDataError(f"cannot read {path} ({error}): give a model_ema.safetensors") from error
    if "config" not in header:
        raise TrainingDataError(f"{path} names no architecture: it was not written by training")
    weights = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    return AcousticConfig.from_dict(json.loads(header["config"])), weights


def read_exported(path: Path) -> tuple[AcousticConfig, dict[str, Tensor]]:
    """Reads the weights of an exported model: its initialisers keep the network's names.

    Args:
        path: a .onnx file beside its model.toml, which names the architecture.

    Returns:
        As `read_compact`, without counters.

    Raises:
        TrainingDataError: a file is missing or is not what it should be.
    """
    import onnx
    from onnx import numpy_helper

    try:
        architecture = tomllib.loads(path.with_name("model.toml").read_text(encoding="utf-8"))["architecture"]
        graph = onnx.load(str(path)).graph
    except (OSError, KeyError, tomllib.TOMLDecodeError, DecodeError) as error:
        raise TrainingDataError(f"cannot read {path} and the model.toml beside it ({error})") from error
    names = AcousticModel(config := AcousticConfig.from_dict(architecture)).state_dict().keys()
    weights = {
        item.name: torch.from_numpy(numpy_helper.to_array(item).copy()).float()
        for item in graph.initializer
        if item.name in names
    }
    return config, weights


def read_weights(path: Path) -> tuple[AcousticConfig, dict[str, Tensor]]:
    """Reads a compact checkpoint or an exported model, by its suffix.

    Args:
        path: .safetensors or .onnx.

    Returns:
        The architecture, and float32 weights.
    """
    return read_exported(path) if path.suffix == ".onnx" else read_compact(path)


def mix(first: Path, second: Path, share: float, target: Path) -> None:
    """Averages the weights of two models of one family, one of which was trained on from the other.

    The middle of the way is often better than both ends (Wortsman et al. 2022, "Robust fine-tuning").

    Args:
        first: .safetensors or .onnx.
        second: the same architecture.
        share: of the second, 0 to 1.
        target: compact checkpoint to write.

    Raises:
        TrainingDataError: the architectures differ.
    """
    (config, weights), (other, moved) = read_weights(first), read_weights(second)
    if config.to_dict() != other.to_dict():
        raise TrainingDataError(f"{first} and {second} have different architectures: they have no mean")
    own = AcousticModel(config).state_dict()
    mixed = {
        name: torch.lerp(weights[name], moved[name], share) for name, value in own.items() if value.is_floating_point()
    }
    save_compact(config, {**own, **mixed}, target, {"share": str(share)})


def load_compact(path: Path) -> AcousticModel:
    """Builds the network of a compact checkpoint.

    Args:
        path: a .safetensors file.

    Returns:
        The network on the CPU, in evaluation mode.
    """
    config, weights = read_compact(path)
    model = AcousticModel(config)
    model.load_state_dict(weights)
    model.eval()
    return model


def split_file(path: Path, folder: Path, part_bytes: int = PART_BYTES) -> list[Path]:
    """Cuts a file into parts.

    Args:
        path: the file.
        folder: where NAME.part0, NAME.part1, ... go.
        part_bytes: largest size of a part.

    Returns:
        The parts in order.
    """
    data = path.read_bytes()
    parts: list[Path] = []
    for number, start in enumerate(range(0, max(1, len(data)), part_bytes)):
        part = folder / f"{path.name}.part{number}"
        part.write_bytes(data[start : start + part_bytes])
        parts.append(part)
    return parts


def join_parts(folder: Path, target: Path) -> None:
    """Puts parts together again.

    Args:
        folder: holds NAME.part0, NAME.part1, ..., where NAME is the target's.
        target: the file to write.

    Raises:
        TrainingDataError: a part is missing.
    """
    parts = sorted(folder.glob(f"{target.name}.part*"), key=lambda part: int(part.suffix.removeprefix(".part")))
    numbers = [int(part.suffix.removeprefix(".part")) for part in parts]
    if not parts or numbers != list(range(len(parts))):
        raise TrainingDataError(f"parts of {target.name} are missing in {folder}: found {numbers}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
