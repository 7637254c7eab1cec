"""Rewrites the matrix products of a graph to 8-bit integers: weights per column, activations by a scale.

The scale is known from calibration, or a row's own where a gate made the row. Either way a row's result needs no
other row and integer sums are exact, so a stream's result stays independent of its company.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_backend.errors import ModelError
from tritone_backend.models.calibrate import activation_ranges
from tritone_backend.models.exact_sums import signed_sums_are_exact
from tritone_backend.models.graph_editor import CONTRIB, GraphEditor, attribute
from tritone_backend.models.quantise_convolution import rewrite_convolutions
from tritone_backend.models.rounding import (
    LEVELS,
    NARROW_LEVELS,
    by_peak,
    by_range,
    middle,
    quantise_columns,
    unit_step,
)

RECIPE = 1
"""Goes up when the same graph would become another one."""


@dataclass(frozen=True)
class Quantised:
    """What was rewritten.

    Attributes:
        products: matrix products and convolutions.
        calibrated: those of them whose activations have a scale from calibration; others have one a row.
        megabytes: weights that are stored as integers now, in 10^6 bytes.
    """

    products: int
    calibrated: int
    megabytes: float


def quantise_graph(source: Path, target: Path, signal: NDArray[np.int32]) -> Quantised:
    """Write a graph with 8-bit products.

    Args:
        source: graph whose linear layers are ``Gemm`` nodes on constant weights, as `tritone model export` writes it.
        target: file to write.
        signal: sound to calibrate on, int32 [streams, samples].

    Returns:
        What was rewritten.

    Raises:
        ModelError: the onnx package is missing, the graph has no such product, or it does not run on the signal.
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise ModelError("building an 8-bit graph needs the onnx package: pip install 'tritone[onnxruntime]'") from None
    try:
        model = onnx.load(source)
    except Exception as error:  # protobuf's exceptions share no public base
        raise ModelError(f"{source} is not an ONNX graph: {str(error).splitlines()[0]:.120}") from None
    editor = GraphEditor(onnx, model)
    groups: dict[str, list[Any]] = {}
    for node in editor.nodes:
        if node.op_type == "Gemm" and editor.array(node.input[1]) is not None and attribute(node, "transB", 0):
            groups.setdefault(node.input[0], []).append(node)
    if not groups:
        raise ModelError(
            f"{source} has no linear layer (Gemm) on constant weights: export it with `tritone model export`"
        )
    ranges = activation_ranges(model, [name for name in groups if not _is_gated(editor, name)], signal)
    exact = signed_sums_are_exact(onnx)
    # Elsewhere 8 bits save a convolution no more than the windows cost.
    following, convolutions = rewrite_convolutions(editor) if exact else ({}, 0)
    for name, group in groups.items():
        following |= _products(editor, group, ranges.get(name), LEVELS if exact else NARROW_LEVELS)
    editor.replace(following)
    onnx.save(model, target)
    size = sum(len(item.raw_data) for item in editor.new_constants if item.name.endswith(".q8"))
    products = convolutions + sum(len(group) for group in groups.values())
    return Quantised(products, sum(len(groups[name]) for name in ranges), size / 1e6)


def _is_gated(editor: GraphEditor, name: str) -> bool:
    """Whether a tensor is a product with a sigmoid: its rare largest values would leave the others no bits."""
    node = editor.maker(name)
    while node is not None and node.op_type in ("Reshape", "Transpose"):
        node = editor.maker(node.input[0])
    return node is not None and _has_gate(editor, node, 2)


def _has_gate(editor: GraphEditor, node: Any, depth: int) -> bool:
    """Whether a sigmoid is a factor of a product, or of a factor of it."""
    factors = [editor.maker(name) for name in node.input] if node.op_type == "Mul" else []
    return any(
        factor is not None and (factor.op_type == "Sigmoid" or (depth > 1 and _has_gate(editor, factor, depth - 1)))
        for factor in factors
    )


def _products(
    editor: GraphEditor, group: Sequence[Any], extremes: tuple[float, float] | None, levels: float
) -> dict[str, list[Any]]:
    """Return what takes the place of all products of one input; joined, their results would have to be copied apart."""
    x, first = group[0].input[0], group[0].name or group[0].output[0]
    peak = ""
    if extremes is None:
        nodes, u8, peak = by_peak(editor, x, first, [-1])
        step, zero = unit_step(editor), middle(editor)
    else:
        rounding, u8, step, zero = by_range(editor, x, first, extremes)
        nodes = [rounding]
    following: dict[str, list[Any]] = {node.output[0]: [] for node in group}
    for node in group:
        matrix = editor.array(node.input[1])
        assert matrix is not None
        bias = editor.array(node.input[2]) if len(node.input) > 2 else None
        integers, columns = quantise_columns(matrix * attribute(node, "alpha", 1.0), levels)
        shift = np.zeros(len(matrix)) if bias is None else bias.reshape(-1) * attribute(node, "beta", 1.0)
        out = node.output[0]
        inputs = [u8, editor.constant(f"{out}.q8", integers), step, editor.constant(f"{out}.columns", columns), zero]
        last = editor.constant(f"{out}.bias", shift.astype(np.float32)) if shift.any() else ""
        if not peak:
            inputs += ["", last] if last else []
            nodes.append(editor.make("MatMulIntegerToFloat", inputs, [out], domain=CONTRIB))
            continue
        product, scaled = f"{out}.product", f"{out}.scaled" if last else out
        nodes.append(editor.make("MatMulIntegerToFloat", inputs, [product], domain=CONTRIB))
        nodes.append(editor.make("Mul", [product, peak], [scaled]))
        nodes += [editor.make("Add", [scaled, last], [out])] if last else []
    following[group[0].output[0]] = nodes
    return following
