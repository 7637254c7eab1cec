"""Rewrites the wide convolutions of a graph to products of 8-bit integers, one for each time tap."""

from __future__ import annotations

from typing import Any

import numpy as np

from tritone_backend.models.graph_editor import GraphEditor, attribute
from tritone_backend.models.rounding import LEVELS, by_peak, middle, quantise_columns

LEAST_CHANNELS = 8
"""Input channels below which a convolution is not worth the rewriting."""


def rewrite_convolutions(editor: GraphEditor) -> tuple[dict[str, list[Any]], int]:
    """Return what takes the place of wide convolutions and the batch norms behind them, and their number."""
    inferred = editor.onnx.shape_inference.infer_shapes(editor.model).graph.value_info
    shapes = {item.name: item.type.tensor_type.shape.dim for item in inferred}
    widths = {name: dims[3].dim_value for name, dims in shapes.items() if len(dims) == 4 and dims[3].dim_value}
    following: dict[str, list[Any]] = {}
    count = 0
    for node in editor.nodes:
        if not _is_wide(editor, node) or node.output[0] not in widths:
            continue
        after = editor.only_user(node.output[0])
        norm = after if after is not None and after.op_type == "BatchNormalization" else None
        following[node.output[0]] = _products(editor, node, norm, widths[node.output[0]])
        if norm is not None:
            following[norm.output[0]] = []
        count += 1
    return following, count


def _is_wide(editor: GraphEditor, node: Any) -> bool:
    kernel = editor.array(node.input[1]) if node.op_type == "Conv" and len(node.input) == 3 else None
    if kernel is None or kernel.ndim != 4 or kernel.shape[1] < LEAST_CHANNELS:
        return False
    padded = any(attribute(node, "pads", [0]))
    return not padded and attribute(node, "group", 1) == 1 and attribute(node, "strides", [1, 1])[1] == 1


def _products(editor: GraphEditor, node: Any, norm: Any | None, across: int) -> list[Any]:
    """Return a convolution as one product per time tap on windows along the last axis, channels innermost.

    A window serves two neighbouring outputs where their number is even: half the copies, longer products.

    One scale per item of the batch; the batch norm that follows, if any, is folded into the weights.
    """
    make, stem = editor.make, node.name or node.output[0]
    kernel, bias = editor.array(node.input[1]), editor.array(node.input[2])
    assert kernel is not None
    assert bias is not None
    if norm is not None:
        weight, shift, mean, variance = (editor.array(name) for name in norm.input[1:])
        factor = weight / np.sqrt(variance + attribute(norm, "epsilon", 1e-5))
        kernel, bias = kernel * factor.reshape(-1, 1, 1, 1), (bias - mean) * factor + shift
    outputs, inputs, height, width = kernel.shape
    stride = attribute(node, "strides", [1, 1])[0]
    group = 2 if across % 2 == 0 else 1
    window, step_size = (width + group - 1) * inputs, group * inputs
    integers, columns = quantise_columns(kernel.transpose(0, 2, 3, 1).reshape(outputs, -1))
    taps = integers.reshape(height, width * inputs, outputs)
    joined = np.zeros((height, window, group, outputs), np.int8)
    for member in range(group):
        joined[:, member * inputs : member * inputs + width * inputs, member] = taps
    joined = joined.reshape(height, window, group * outputs)
    nodes, u8, peak = by_peak(editor, node.input[0], stem, [1, 2, 3])
    nodes.append(make("Transpose", [u8], [f"{stem}.inner"], perm=[0, 2, 3, 1]))
    row = editor.constant(f"{stem}.row", np.array([0, 0, 1, -1], np.int64))
    nodes.append(make("Reshape", [f"{stem}.inner", row], [f"{stem}.rows"]))
    # Each window is one run of memory; a column for each offset inside the kernel would be many short ones.
    shifted = []
    for index in range(across // group):
        start = index * step_size
        shifted.append(_slice(editor, nodes, f"{stem}.rows", f"{stem}.window{index}", 3, start, start + window, 1))
    nodes.append(make("Concat", shifted, [f"{stem}.windows"], axis=2))
    total = ""
    for tap in range(height):
        end = tap - height + 1 or np.iinfo(np.int64).max
        rows = _slice(editor, nodes, f"{stem}.windows", f"{stem}.tap{tap}", 1, tap, end, stride)
        part = f"{stem}.part{tap}"
        matrix = editor.constant(f"{stem}.tap{tap}.q8", joined[tap])
        nodes.append(make("MatMulInteger", [rows, matrix, middle(editor)], [part]))
        if total:
            nodes.append(make("Add", [total, part], [f"{stem}.total{tap}"]))
        total = f"{stem}.total{tap}" if total else part
    apart = editor.constant(f"{stem}.sizes", np.array([0, 0, across, outputs], np.int64))
    scaled, coloured, summed = f"{stem}.scaled", f"{stem}.coloured", f"{stem}.summed"
    nodes += [
        make("Reshape", [total, apart], [f"{stem}.apart"]),
        make("Cast", [f"{stem}.apart"], [f"{stem}.float"], to=1),
        make("Mul", [f"{stem}.float", peak], [scaled]),
        make("Mul", [scaled, editor.constant(f"{stem}.columns", columns / np.float32(LEVELS))], [coloured]),
        make("Add", [coloured, editor.constant(f"{stem}.bias", bias.astype(np.float32))], [summed]),
        make("Transpose", [summed], [(norm or node).output[0]], perm=[0, 3, 1, 2]),
    ]
    return nodes


def _slice(
    editor: GraphEditor, nodes: list[Any], x: str, out: str, axis: int, start: int, end: int, stride: int
) -> str:
    """Append a slice of one axis."""
    limits = [editor.shared(f"q8.{n}", np.array([n], np.int64)) for n in (start, end, axis, stride)]
    nodes.append(editor.make("Slice", [x, *limits], [out]))
    return out
