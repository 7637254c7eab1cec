"""A thin writer of ONNX graphs: nodes, shared constants and weights under their public names.

It knows nothing of the network; onnx_graph.py describes that with these verbs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
"""The first operator set with LayerNormalization; old enough for every engine in use."""


class GraphBuilder:
    """Collects the nodes and initialisers of one graph.

    Args:
        weights: parameters by name, float32.
        half: store matrices and kernels as float16 and cast them to float32 in the graph; engines fold the casts away.
    """

    def __init__(self, weights: Mapping[str, NDArray[Any]], *, half: bool) -> None:
        self._weights, self._half = weights, half
        self._nodes: list[Any] = []
        self._initialisers: dict[str, Any] = {}
        self._constants: dict[tuple[bytes, str, tuple[int, ...]], str] = {}
        self._casts: dict[str, str] = {}

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append a node with one output and return the name of that output."""
        return self.ops(kind, inputs, 1, **attributes)[0]

    def ops(self, kind: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Append a node with several outputs and return their names."""
        stem = f"{kind.lower()}_{len(self._nodes)}"
        names = [stem] if outputs == 1 else [f"{stem}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, name=stem, **attributes))
        return names

    def rename(self, value: str, name: str) -> None:
        """Give the latest node's only output its final name, for outputs of the graph."""
        node = self._nodes[-1]
        assert list(node.output) == [value], "only the latest value can be renamed"
        node.output[0] = name

    def weight(self, name: str) -> str:
        """Return the float32 value of a parameter, stored under its public name."""
        # Vectors (norms, biases, statistics) are a hundredth of the bytes and trained ones lose accuracy when rounded.
        if not self._half or self._weights[name].ndim < 2:
            if name not in self._initialisers:
                self._initialisers[name] = numpy_helper.from_array(self._weights[name], name)
            return name
        if name not in self._casts:
            rounded = self._weights[name].astype(np.float16)
            self._initialisers[name] = numpy_helper.from_array(rounded, name)
            self._casts[name] = self.op("Cast", name, to=TensorProto.FLOAT)
        return self._casts[name]

    def constant(self, value: NDArray[Any]) -> str:
        """Return an initialiser of this value; equal ones are stored once."""
        value = np.ascontiguousarray(value)
        key = (value.tobytes(), value.dtype.str, value.shape)
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = name
            self._initialisers[name] = numpy_helper.from_array(value, name)
        return self._constants[key]

    def number(self, value: float) -> str:
        """Return a float32 scalar."""
        return self.constant(np.array(value, dtype=np.float32))

    def integers(self, *values: int) -> str:
        """Return an int64 vector, as shapes and slices want it."""
        return self.constant(np.array(values, dtype=np.int64))

    def reshape(self, x: str, *shape: int) -> str:
        """View `x` in a shape; the batch is the axis given as -1."""
        return self.op("Reshape", x, self.integers(*shape))

    def slice(self, x: str, axis: int, start: int, stop: int) -> str:
        """Return part of one axis."""
        return self.op("Slice", x, self.integers(start), self.integers(stop), self.integers(axis))

    def split(self, x: str, axis: int, sizes: Sequence[int]) -> list[str]:
        """Cut one axis into consecutive parts."""
        return self.ops("Split", (x, self.integers(*sizes)), len(sizes), axis=axis)

    def concat(self, axis: int, *parts: str) -> str:
        """Join values on one axis."""
        return self.op("Concat", *parts, axis=axis)

    def transpose(self, x: str, *order: int) -> str:
        """Permute the axes."""
        return self.op("Transpose", x, perm=list(order))

    def model(self, inputs: Sequence[Any], outputs: Sequence[Any], metadata: Mapping[str, str]) -> onnx.ModelProto:
        """Return the finished model.

        Args:
            inputs: value infos of the graph's inputs.
            outputs: value infos of its outputs.
            metadata: notes to store in the file.
        """
        graph = helper.make_graph(
            self._nodes, "acoustic", list(inputs), list(outputs), list(self._initialisers.values())
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="tritone", ir_version=8
        )
        helper.set_model_props(model, dict(metadata))
        return model
