"""Rewrites the matrix products of a graph to 8-bit integers: weights per column, activations per row as they come.

A row's result needs no other row and integer sums are exact, so a stream's result stays independent of its company.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_backend.errors import ModelError
from tritone_backend.models.exact_sums import signed_sums_are_exact

ZERO_POINT = 128
LEVELS = 127.0
NARROW_LEVELS = 63.0
"""Of weights, where products are added in 16 bits: two of 255 x 64 and less fit."""
SMALLEST = 1e-30
"""Scale of a row of zeros, which any positive number serves."""
CONTRIB = "com.microsoft"
LEAST_CHANNELS = 8
"""Input channels below which a convolution is not worth the rewriting."""


@dataclass(frozen=True)
class Quantised:
    """What was rewritten.

    Attributes:
        products: matrix products that were found.
        joined: products that take their place: those of one input are joined.
        megabytes: weights that are stored as integers now, in 10^6 bytes.
    """

    products: int
    joined: int
    megabytes: float


def quantise_graph(source: Path, target: Path) -> Quantised:
    """Write a graph with 8-bit products.

    Args:
        source: graph whose linear layers are ``Gemm`` nodes on constant weights, as `tritone model export` writes it.
        target: file to write.

    Raises:
        ModelError: the onnx package is missing, or the graph has no such product.
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise ModelError("building an 8-bit graph needs the onnx package: pip install 'tritone[export]'") from None
    try:
        model = onnx.load(source)
    except Exception as error:  # protobuf's exceptions share no public base
        raise ModelError(f"{source} is not an ONNX graph: {str(error).splitlines()[0]:.120}") from None
    rewriter = _Rewriter(onnx, model)
    done = rewriter.run()
    if done.products == 0:
        raise ModelError(
            f"{source} has no linear layer (Gemm) on constant weights: export it with `tritone model export`"
        )
    onnx.save(model, target)
    return done


class _Rewriter:
    def __init__(self, onnx: Any, model: Any) -> None:
        self._onnx, self._model, self._graph = onnx, model, model.graph
        self._constants = {item.name: item for item in self._graph.initializer}
        self._makers = {node.output[0]: node for node in self._graph.node}
        self._new_constants: list[Any] = []
        self._wide = signed_sums_are_exact(onnx)
        self._levels = LEVELS if self._wide else NARROW_LEVELS
        inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
        shapes = {item.name: item.type.tensor_type.shape.dim for item in inferred}
        self._widths = {
            name: dims[3].dim_value for name, dims in shapes.items() if len(dims) == 4 and dims[3].dim_value
        }

    def run(self) -> Quantised:
        groups: dict[str, list[Any]] = {}
        for node in self._graph.node:
            if node.op_type == "Gemm" and self._array(node.input[1]) is not None and _attribute(node, "transB", 0):
                groups.setdefault(node.input[0], []).append(node)
        following = {id(group[0]): self._product(name, group) for name, group in groups.items()}
        replaced = {id(node) for group in groups.values() for node in group}
        # Elsewhere 8 bits save a convolution no more than the windows cost.
        for node in self._graph.node if self._wide else ():
            if self._is_wide_convolution(node):
                norm = self._batch_norm_after(node)
                following[id(node)] = self._convolution(node, norm)
                replaced |= {id(node)} | ({id(norm)} if norm is not None else set())
        nodes = []
        for node in self._graph.node:
            nodes += following.get(id(node), []) if id(node) in replaced else [node]
        used = {name for node in nodes for name in node.input}
        used |= {output.name for output in self._graph.output}
        nodes = [node for node in nodes if any(name in used for name in node.output)]  # casts of weights that went
        used = {name for node in nodes for name in node.input}
        kept = [item for item in self._graph.initializer if item.name in used] + self._new_constants
        for field, items in ((self._graph.node, nodes), (self._graph.initializer, kept)):
            del field[:]
            field.extend(items)
        if CONTRIB not in {entry.domain for entry in self._model.opset_import}:
            self._model.opset_import.append(self._onnx.helper.make_opsetid(CONTRIB, 1))
        size = sum(len(item.raw_data) for item in self._new_constants if item.name.endswith(".q8"))
        return Quantised(len(replaced), len(following), size / 1e6)

    def _product(self, x: str, group: Sequence[Any]) -> list[Any]:
        """Return the nodes that take the place of all products of one input."""
        make, stem = self._onnx.helper.make_node, group[0].name or group[0].output[0]
        weights, biases = [], []
        for node in group:
            matrix = self._array(node.input[1])
            assert matrix is not None
            weights.append(matrix * _attribute(node, "alpha", 1.0))
            bias = self._array(node.input[2]) if len(node.input) > 2 else None
            biases.append(np.zeros(len(matrix)) if bias is None else bias * _attribute(node, "beta", 1.0))
        matrix, bias = np.concatenate(weights), np.concatenate(biases).astype(np.float32)
        integers, scale = quantise_columns(matrix, self._levels)
        weight = self._constant(f"{stem}.q8", integers)
        columns = self._constant(f"{stem}.columns", scale)
        out = f"{stem}.all" if len(group) > 1 else group[0].output[0]
        product, scaled = f"{stem}.product", f"{stem}.scaled" if bias.any() else out
        nodes, u8, step = self._quantise(x, stem, [-1])
        inputs = [u8, weight, self._shared("q8.one", np.float32(1)), columns, self._zero()]
        nodes.append(make("MatMulIntegerToFloat", inputs, [product], domain=CONTRIB))
        nodes.append(make("Mul", [product, step], [scaled]))
        if scaled != out:
            nodes.append(make("Add", [scaled, self._constant(f"{stem}.bias", bias)], [out]))
        if len(group) > 1:
            sizes = self._constant(f"{stem}.sizes", np.array([len(part) for part in weights], np.int64))
            nodes.append(make("Split", [out, sizes], [node.output[0] for node in group], axis=1))
        return nodes

    def _quantise(self, x: str, stem: str, axes: Sequence[int]) -> tuple[list[Any], str, str]:
        """Return nodes that round a value with one scale over some axes, and the names of integers and scale."""
        make = self._onnx.helper.make_node
        size, peak, step, bounded, unit, u8 = (
            f"{stem}.{part}" for part in ("abs", "peak", "step", "bounded", "unit", "u8")
        )
        level, least = self._shared("q8.level", np.float32(1 / LEVELS)), self._shared("q8.least", np.float32(SMALLEST))
        nodes = [
            make("Abs", [x], [size]),
            make("ReduceMax", [size], [peak], axes=list(axes), keepdims=1),
            make("Mul", [peak, level], [step]),
            make("Max", [step, least], [bounded]),
            make("Div", [x, bounded], [unit]),
            make("QuantizeLinear", [unit, self._shared("q8.one", np.float32(1)), self._zero()], [u8]),
        ]
        return nodes, u8, bounded

    def _convolution(self, node: Any, norm: Any | None) -> list[Any]:
        """Return a convolution as one product per time tap on windows along the last axis, channels innermost.

        A window serves two neighbouring outputs where their number is even: half the copies, longer products.

        One scale per item of the batch; the batch norm that follows, if any, is folded into the weights.
        """
        make, stem = self._onnx.helper.make_node, node.name or node.output[0]
        kernel, bias = self._array(node.input[1]), self._array(node.input[2])
        assert kernel is not None
        assert bias is not None
        if norm is not None:
            weight, shift, mean, variance = (self._array(name) for name in norm.input[1:])
            factor = weight / np.sqrt(variance + _attribute(norm, "epsilon", 1e-5))
            kernel, bias = kernel * factor.reshape(-1, 1, 1, 1), (bias - mean) * factor + shift
        outputs, inputs, height, width = kernel.shape
        stride, across = _attribute(node, "strides", [1, 1])[0], self._widths[node.output[0]]
        group = 2 if across % 2 == 0 else 1
        window, step_size = (width + group - 1) * inputs, group * inputs
        integers, columns = quantise_columns(kernel.transpose(0, 2, 3, 1).reshape(outputs, -1), self._levels)
        taps = integers.reshape(height, width * inputs, outputs)
        joined = np.zeros((height, window, group, outputs), np.int8)
        for member in range(group):
            joined[:, member * inputs : member * inputs + width * inputs, member] = taps
        joined = joined.reshape(height, window, group * outputs)
        nodes, u8, step = self._quantise(node.input[0], stem, [1, 2, 3])
        nodes.append(make("Transpose", [u8], [f"{stem}.inner"], perm=[0, 2, 3, 1]))
        row = self._shared(f"q8.row{stem}", np.array([0, 0, 1, -1], np.int64))
        nodes.append(make("Reshape", [f"{stem}.inner", row], [f"{stem}.rows"]))
        # Each window is one run of memory; a column for each offset inside the kernel would be many short ones.
        shifted = []
        for index in range(across // group):
            start = index * step_size
            shifted.append(self._slice(nodes, f"{stem}.rows", f"{stem}.window{index}", 3, start, start + window, 1))
        nodes.append(make("Concat", shifted, [f"{stem}.windows"], axis=2))
        total = ""
        for tap in range(height):
            end = tap - height + 1 or np.iinfo(np.int64).max
            rows = self._slice(nodes, f"{stem}.windows", f"{stem}.tap{tap}", 1, tap, end, stride)
            part = f"{stem}.part{tap}"
            matrix = self._constant(f"{stem}.tap{tap}.q8", joined[tap])
            nodes.append(make("MatMulInteger", [rows, matrix, self._zero()], [part]))
            if total:
                nodes.append(make("Add", [total, part], [f"{stem}.total{tap}"]))
            total = f"{stem}.total{tap}" if total else part
        apart = self._shared(f"q8.apart{stem}", np.array([0, 0, across, outputs], np.int64))
        scaled, coloured, summed = f"{stem}.scaled", f"{stem}.coloured", f"{stem}.summed"
        nodes += [
            make("Reshape", [total, apart], [f"{stem}.apart"]),
            make("Cast", [f"{stem}.apart"], [f"{stem}.float"], to=1),
            make("Mul", [f"{stem}.float", step], [scaled]),
            make("Mul", [scaled, self._constant(f"{stem}.columns", columns)], [coloured]),
            make("Add", [coloured, self._constant(f"{stem}.bias", bias.astype(np.float32))], [summed]),
            make("Transpose", [summed], [(norm or node).output[0]], perm=[0, 3, 1, 2]),
        ]
        return nodes

    def _slice(self, nodes: list[Any], x: str, out: str, axis: int, start: int, end: int, stride: int) -> str:
        """Append a slice of one axis."""
        limits = [self._shared(f"q8.{n}", np.array([n], np.int64)) for n in (start, end, axis, stride)]
        nodes.append(self._onnx.helper.make_node("Slice", [x, *limits], [out]))
        return out

    def _is_wide_convolution(self, node: Any) -> bool:
        kernel = self._array(node.input[1]) if node.op_type == "Conv" and len(node.input) == 3 else None
        if kernel is None or kernel.ndim != 4 or kernel.shape[1] < LEAST_CHANNELS or node.output[0] not in self._widths:
            return False
        padded = any(_attribute(node, "pads", [0]))
        return not padded and _attribute(node, "group", 1) == 1 and _attribute(node, "strides", [1, 1])[1] == 1

    def _batch_norm_after(self, node: Any) -> Any | None:
        users = [other for other in self._graph.node if node.output[0] in other.input]
        return users[0] if len(users) == 1 and users[0].op_type == "BatchNormalization" else None

    def _zero(self) -> str:
        return self._shared("q8.zero", np.uint8(ZERO_POINT))

    def _array(self, name: str) -> NDArray[Any] | None:
        """Return a constant in float64, also one behind casts and reshapes."""
        if name in self._constants:
            found: NDArray[Any] = self._onnx.numpy_helper.to_array(self._constants[name])
            return found.astype(np.float64)
        node = self._makers.get(name)
        if node is None or node.op_type not in ("Cast", "Reshape"):
            return None
        value = self._array(node.input[0])
        if value is None or node.op_type == "Cast":
            return value
        shape = self._array(node.input[1])
        return None if shape is None else value.reshape([int(size) for size in shape])

    def _shared(self, name: str, value: Any) -> str:
        if all(item.name != name for item in self._new_constants):
            self._constant(name, np.asarray(value))
        return name

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self._new_constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name


def quantise_columns(matrix: NDArray[Any], levels: float = LEVELS) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round a weight matrix to 8 bits with one scale per output.

    Args:
        matrix: [outputs, inputs].
        levels: largest integer.

    Returns:
        int8 [inputs, outputs] and float32 [outputs]; their product is the matrix, transposed, within half a step.
    """
    scale = np.maximum(np.abs(matrix).max(axis=1) / levels, SMALLEST).astype(np.float32)
    integers = np.rint(matrix / scale[:, None].astype(np.float64)).clip(-levels, levels).astype(np.int8)
    return integers.T, scale


def _attribute(node: Any, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return {1: attribute.f, 2: attribute.i, 7: list(attribute.ints)}[attribute.type]
    return default
