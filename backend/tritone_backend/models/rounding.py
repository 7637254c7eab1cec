"""How values become 8-bit integers: weights by column, activations by a range that is known or by their own peak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_backend.models.graph_editor import GraphEditor

LEVELS = 127.0
NARROW_LEVELS = 63.0
"""Of weights, where products are added in 16 bits: two of 255 x 64 and less fit."""
MARGIN = 1.3
"""By which a calibrated range is widened: steps a third longer cost less than values that it cuts off."""
_ZERO_POINT = 128
_SMALLEST = 1e-30
"""Scale of what is all zeros, which any positive number serves."""


def quantise_columns(matrix: NDArray[Any], levels: float = LEVELS) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round a weight matrix to 8 bits with one scale per output.

    Args:
        matrix: [outputs, inputs].
        levels: largest integer.

    Returns:
        int8 [inputs, outputs] and float32 [outputs]; their product is the matrix, transposed, within half a step.
    """
    scale = np.maximum(np.abs(matrix).max(axis=1) / levels, _SMALLEST).astype(np.float32)
    integers = np.rint(matrix / scale[:, None].astype(np.float64)).clip(-levels, levels).astype(np.int8)
    return integers.T, scale


def by_range(editor: GraphEditor, x: str, stem: str, extremes: tuple[float, float]) -> tuple[Any, str, str, str]:
    """Return a node that rounds a tensor with one scale for ever; values beyond the range are cut off.

    Args:
        editor: where constants go.
        x: the tensor.
        stem: beginning of new names.
        extremes: least and largest value seen, zero between them: it is met exactly.

    Returns:
        The node, and the names of uint8 integers, step and zero point.
    """
    low, high = (MARGIN * extreme for extreme in extremes)
    step = np.float32(max((high - low) / 255, _SMALLEST))
    zero = np.uint8(np.clip(np.rint(-low / float(step)), 0, 255))
    names = editor.constant(f"{stem}.step", np.asarray(step)), editor.shared(f"q8.zero{zero}", zero)
    return editor.make("QuantizeLinear", [x, *names], [f"{stem}.u8"]), f"{stem}.u8", *names


def by_peak(editor: GraphEditor, x: str, stem: str, axes: Sequence[int]) -> tuple[list[Any], str, str]:
    """Return nodes that round a tensor by its largest absolute value over some axes.

    Zeros alone make 0 / 0: whatever integers that gives, their products are multiplied by the peak, which is 0.

    Args:
        editor: where constants go.
        x: the tensor.
        stem: beginning of new names.
        axes: over which one peak serves.

    Returns:
        The nodes, and the names of uint8 integers and peak. A step is `unit_step`, the zero point `middle`.
    """
    size, peak, unit, u8 = (f"{stem}.{part}" for part in ("abs", "peak", "unit", "u8"))
    nodes = [
        editor.make("Abs", [x], [size]),
        editor.make("ReduceMax", [size], [peak], axes=list(axes), keepdims=1),
        editor.make("Div", [x, peak], [unit]),
        editor.make("QuantizeLinear", [unit, unit_step(editor), middle(editor)], [u8]),
    ]
    return nodes, u8, peak


def unit_step(editor: GraphEditor) -> str:
    """Return the name of the step between integers, of values in -1..1."""
    return editor.shared("q8.step", np.float32(1 / LEVELS))


def middle(editor: GraphEditor) -> str:
    """Return the name of the zero point of values that lie evenly around zero."""
    return editor.shared(f"q8.zero{_ZERO_POINT}", np.uint8(_ZERO_POINT))
