"""Reads weights from a checkpoint file and infers the architecture from the shapes of its tensors.

Training's own bookkeeping (optimiser, schedule) is none of its business; writing models is done in export.py.
"""

from __future__ import annotations

import json
import pickle
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tritone_acoustic.config import LABELS, AcousticConfig
from tritone_acoustic.errors import AcousticError
from tritone_acoustic.network import AcousticModel

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PUBLIC_PREFIX = "tone."
"""What the public Hugging Face wrapper puts before every name."""
SAFETENSORS = ".safetensors"


class CheckpointError(AcousticError):
    """A checkpoint cannot be read, or does not hold the weights of this kind of network."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        weights: tensors under their public names, without any prefix.
        settings: fields of `AcousticConfig` and `labels` that the file itself states; may be empty.
    """

    weights: dict[str, Tensor]
    settings: dict[str, Any]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a `.safetensors` file, or a PyTorch file with a state dict, bare or as the entry `state_dict`.

    Nothing but tensors and plain data is unpickled. A `config` entry (a dict; JSON text in the metadata of
    safetensors) supplies what shapes cannot tell.

    Raises:
        CheckpointError: if the file is missing, unreadable or has no named tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file: name a checkpoint (.pt or {SAFETENSORS})")
    tensors, settings = (_read_safetensors if path.suffix == SAFETENSORS else _read_pickle)(path)
    weights = {
        str(name).removeprefix(PUBLIC_PREFIX): value for name, value in tensors.items() if isinstance(value, Tensor)
    }
    if not weights:
        raise CheckpointError(f"{path} holds no named tensors: expected a state dict, or one under 'state_dict'")
    return Checkpoint(weights, settings)


def _read_safetensors(path: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
            settings = json.loads((file.metadata() or {}).get("config", "{}"))
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file: {error}") from error
    return tensors, settings


def _read_pickle(path: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError) as error:
        # PyTorch's own message advises to unpickle code: not a thing to repeat to a user.
        raise CheckpointError(
            f"{path} is not a checkpoint of tensors and plain data: write it with torch.save(model.state_dict(), ...)"
        ) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a state dict")
    settings = content.get("config")
    tensors = content.get("state_dict", content)
    if not isinstance(tensors, Mapping):
        raise CheckpointError(f"{path}: its 'state_dict' is a {type(tensors).__name__}, not a dict of tensors")
    return tensors, dict(settings) if isinstance(settings, Mapping) else {}


def read_settings(path: Path) -> dict[str, Any]:
    """Read architecture fields (and `labels`) from a TOML or JSON file, at its top or under `architecture`.

    Raises:
        AcousticError: if the file is missing or malformed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise AcousticError(f"cannot read the configuration {path}: {error}") from error
    if "architecture" not in content:
        return dict(content)
    labels = content.get("labels", content.get("output", {}).get("labels"))
    return {**content["architecture"], **({} if labels is None else {"labels": labels})}


def infer_config(weights: Mapping[str, Tensor], settings: Mapping[str, Any] | None = None) -> AcousticConfig:
    """Infer the sizes of a network from the shapes of its tensors.

    Shapes leave open the attention cache, the chunk and the rotated part of a head; T-one's values are assumed.

    Args:
        weights: tensors under their public names.
        settings: fields that are known; they win over what shapes say.

    Raises:
        CheckpointError: if a telling tensor is missing or the shapes allow several architectures.
    """
    settings = {name: value for name, value in (settings or {}).items() if name != "labels"}

    def shape(name: str, rank: int) -> tuple[int, ...]:
        if name not in weights:
            raise CheckpointError(f"the checkpoint has no {name}: it is not a T-one style network")
        found = tuple(weights[name].shape)
        if len(found) != rank:
            raise CheckpointError(f"{name} has shape {_size(found)}, expected {rank} dimensions")
        return found

    layers = "encoder.layers"
    classes, d_model, _ = shape("decoder.decoder_layers.0.weight", 3)
    numbers = {int(match[1]) for name in weights if (match := re.match(rf"{re.escape(layers)}\.(\d+)\.", name))}
    n_layers = max(numbers, default=0) + 1
    fields: dict[str, Any] = {
        "d_model": d_model,
        "n_classes": classes,
        "n_layers": n_layers,
        "n_heads": d_model // max(1, shape(f"{layers}.0.self_attn.q_ln.weight", 1)[0]),
        "ff_dim": shape(f"{layers}.0.feed_forward1.linear1.weight", 2)[0],
        "conv_kernel": shape(f"{layers}.0.conv.depthwise_conv.conv.weight", 3)[2],
        "n_mels": shape("encoder.pre_encode.pre_norm.weight", 1)[0],
        "subsampling_channels": (
            shape("encoder.pre_encode.conv.0.0.weight", 4)[0],
            shape("encoder.pre_encode.conv.1.0.weight", 4)[0],
        ),
    }
    if not {"reduction_after", "upsample_after"} <= set(settings):
        owners = {block for block in numbers if f"{layers}.{block}.self_attn.linear_q.weight" in weights}
        fields["reduction_after"], fields["upsample_after"] = _rates(owners, n_layers)
    return AcousticConfig.from_dict({**fields, **settings})


def _rates(owners: set[int], n_layers: int) -> tuple[int, int]:
    """Return (reduction_after, upsample_after) from the blocks that have query weights."""
    fitting = [
        (reduction, upsample)
        for upsample in range(1, n_layers)
        for reduction in range(upsample)
        if {0, reduction + 1, *range(upsample, n_layers)} == owners
    ]
    if not fitting:
        raise CheckpointError(
            f"blocks with linear_q are {sorted(owners)}, which fits no rate change: name one with --config"
        )
    if len(fitting) > 1:
        choices = " or ".join(f"({reduction}, {upsample})" for reduction, upsample in fitting)
        raise CheckpointError(f"(reduction_after, upsample_after) may be {choices}: say which in a file for --config")
    return fitting[0]


def build_network(weights: Mapping[str, Tensor], config: AcousticConfig) -> AcousticModel:
    """Return the network in eval mode with these weights, float32.

    Raises:
        CheckpointError: naming the first tensor that is missing, misshapen or unknown.
    """
    model = AcousticModel(config)
    expected = model.state_dict()
    for name, value in expected.items():
        if name.endswith("num_batches_tracked"):
            continue
        if name not in weights:
            raise CheckpointError(f"the checkpoint has no {name} {_size(value.shape)}")
        if weights[name].shape != value.shape:
            raise CheckpointError(
                f"{name} has shape {_size(weights[name].shape)} in the checkpoint, expected {_size(value.shape)}"
            )
        if not torch.isfinite(weights[name]).all():
            raise CheckpointError(f"{name} holds values that are not finite: the training run has diverged")
    unknown = next((name for name in weights if name not in expected), None)
    if unknown is not None:
        raise CheckpointError(f"{unknown} is no part of the network: wrong checkpoint, or wrong --config?")
    # The counter of seen batches matters to training alone and is left out by some converters.
    model.load_state_dict({name: weights.get(name, value) for name, value in expected.items()})
    model.eval()
    return model


def find_labels(config: AcousticConfig, settings: Mapping[str, Any]) -> str:
    """Return the characters of the classes: as the settings say, or the Russian alphabet if the number fits.

    Raises:
        CheckpointError: if they do not fit the number of classes.
    """
    labels = settings.get("labels", LABELS)
    if not isinstance(labels, str) or len(labels) != config.n_classes - 1:
        found = f"{len(labels)} labels" if isinstance(labels, str) else "labels that are no string"
        raise CheckpointError(
            f"{found} for {config.n_classes} classes, the blank included: give `labels` in a file for --config"
        )
    return labels


def _size(shape: Any) -> str:
    return "x".join(map(str, shape)) or "scalar"
