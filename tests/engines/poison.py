"""Makes a slot's state NaN behind an engine's back: whoever reads what is left in a freed slot shows it at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np


def poison(engine: Any, slots: Iterable[int]) -> None:
    """Overwrite everything that the engine keeps of these slots, whatever engine it is."""
    chosen = list(slots)
    if not chosen:
        return
    if engine.name.startswith("onnxruntime"):
        engine.lanes[0].pool[chosen] = np.nan
        return
    import torch

    pool = engine.network.ops.pool
    for field in dataclasses.fields(pool):
        value = getattr(pool, field.name)
        for tensor in value.values() if isinstance(value, dict) else (value,):
            if not isinstance(tensor, torch.Tensor):
                continue
            # Counts and samples are integers: the worst that these can be is something impossible.
            bad = float("nan") if tensor.is_floating_point() else torch.iinfo(tensor.dtype).max // 2
            tensor[chosen] = bad
