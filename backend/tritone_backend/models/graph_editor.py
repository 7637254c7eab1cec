"""Reads constants of an ONNX graph, collects new ones, and puts new nodes in the place of old ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONTRIB = "com.microsoft"
"""Domain of ONNX Runtime's own operators."""


class GraphEditor:
    """One graph while it is rewritten.

    Attributes:
        onnx: the onnx package.
        model: the model, which `replace` changes.
        make: makes a node: operator, inputs, outputs, attributes.
        new_constants: initialisers that `replace` will add.
    """

    def __init__(self, onnx: Any, model: Any) -> None:
        self.onnx, self.model, self.make = onnx, model, onnx.helper.make_node
        self.new_constants: list[Any] = []
        self._constants = {item.name: item for item in model.graph.initializer}
        self._makers = {name: node for node in model.graph.node for name in node.output}

    @property
    def nodes(self) -> Sequence[Any]:
        """The nodes as they were."""
        found: Sequence[Any] = self.model.graph.node
        return found

    def maker(self, name: str) -> Any | None:
        """Return the node that a tensor comes from, None for inputs and constants."""
        return self._makers.get(name)

    def only_user(self, name: str) -> Any | None:
        """Return the node that alone reads a tensor, None if there are more or none, or it is a result of the graph."""
        if name in {output.name for output in self.model.graph.output}:
            return None
        users = [node for node in self.nodes if name in node.input]
        return users[0] if len(users) == 1 else None

    def array(self, name: str) -> NDArray[Any] | None:
        """Return a constant in float64, also one behind casts and reshapes; None for what is no constant."""
        if name in self._constants:
            found: NDArray[Any] = self.onnx.numpy_helper.to_array(self._constants[name])
            return found.astype(np.float64)
        node = self._makers.get(name)
        if node is None or node.op_type not in ("Cast", "Reshape"):
            return None
        value = self.array(node.input[0])
        if value is None or node.op_type == "Cast":
            return value
        shape = self.array(node.input[1])
        return None if shape is None else value.reshape([int(size) for size in shape])

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add an initialiser of a name that is new; return the name."""
        self.new_constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def shared(self, name: str, value: Any) -> str:
        """Add an initialiser unless there is one of the name, which says what it holds; return the name."""
        if all(item.name != name for item in self.new_constants):
            self.constant(name, np.asarray(value))
        return name

    def replace(self, following: Mapping[str, Sequence[Any]]) -> None:
        """Put nodes in the place of others, and drop what nobody reads any more.

        Args:
            following: for every node that goes, by the name of its first output, what comes instead.
        """
        graph = self.model.graph
        nodes = [new for node in graph.node for new in following.get(node.output[0], [node])]
        used = {name for node in nodes for name in node.input} | {output.name for output in graph.output}
        nodes = [node for node in nodes if any(name in used for name in node.output)]  # casts of weights that went
        used = {name for node in nodes for name in node.input}
        kept = [item for item in graph.initializer if item.name in used] + self.new_constants
        for field, items in ((graph.node, nodes), (graph.initializer, kept)):
            del field[:]
            field.extend(items)
        if CONTRIB not in {entry.domain for entry in self.model.opset_import}:
            self.model.opset_import.append(self.onnx.helper.make_opsetid(CONTRIB, 1))


def attribute(node: Any, name: str, default: Any) -> Any:
    """Return a node's number or list of whole numbers of that name, or the default."""
    for item in node.attribute:
        if item.name == name:
            return {1: item.f, 2: item.i, 7: list(item.ints)}[item.type]
    return default
