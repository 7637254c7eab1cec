"""The types of a strongly typed network: which products of the ONNX graph run in 16 bits. The rest stays as it is.

Strong typing means that TensorRT keeps the graph's types, so precision is chosen here, by casts around the products.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tritone_backend.errors import EngineError, ModelError

PRECISIONS = ("fp16", "bf16", "tf32", "fp32", "keep")
"""``tf32`` lets tensor cores round float32; ``keep`` leaves a graph alone that is published with types of its own."""
_PRODUCTS = ("Gemm", "MatMul", "Conv")


def typed_graph(path: Path, precision: str) -> tuple[bytes, int]:
    """Return a graph with products of the chosen precision, serialised.

    The spectrum's product stays in float32 too, whose range 16 bits do not have; so do norms, softmax and all sums.

    Args:
        path: the ONNX graph.
        precision: one of ``PRECISIONS``.

    Returns:
        The graph, and how many products were retyped.

    Raises:
        EngineError: the precision is unknown or the onnx package is missing.
        ModelError: the file is no ONNX graph.
    """
    if precision not in PRECISIONS:
        raise EngineError(f"unknown precision {precision!r}: known are {', '.join(PRECISIONS)}")
    try:
        import onnx
    except ModuleNotFoundError:
        raise EngineError("building a plan needs the onnx package: pip install onnx") from None
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's exceptions share no public base
        raise ModelError(f"{path} is not an ONNX graph: {str(error).splitlines()[0]:.120}") from None
    if precision in ("tf32", "fp32", "keep"):
        return model.SerializeToString(), 0
    changed = _Retyper(onnx, model, precision).run()
    if changed == 0:
        raise ModelError(f"{path} has no float32 products: take --precision keep")
    return model.SerializeToString(), changed


class _Retyper:
    def __init__(self, onnx: Any, model: Any, precision: str) -> None:
        self._onnx, self._graph = onnx, model.graph
        self._type = onnx.TensorProto.FLOAT16 if precision == "fp16" else onnx.TensorProto.BFLOAT16
        self._constants = {item.name: item for item in self._graph.initializer}
        self._makers = {name: node for node in self._graph.node for name in node.output}
        self._casts: dict[str, str] = {}
        self._nodes: list[Any] = []

    def run(self) -> int:
        changed = 0
        for node in self._graph.node:
            if node.op_type not in _PRODUCTS or not self._is_trained(node):
                self._nodes.append(node)
                continue
            changed += 1
            for index, name in enumerate(node.input):
                node.input[index] = self._narrow(name)
            wide = node.output[0]
            node.output[0] = f"{wide}.narrow"
            self._nodes.append(node)
            # Sums, norms and activations stay in float32; the builder fuses this cast into whatever follows.
            self._nodes.append(self._cast(node.output[0], wide, self._onnx.TensorProto.FLOAT))
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        return changed

    def _is_trained(self, node: Any) -> bool:
        """Whether a product has trained weights, rather than a table of the exporter or two activations."""
        weight = self._constant(node.input[1])
        return weight is not None and not weight.name.startswith("constant_")

    def _constant(self, name: str) -> Any | None:
        if name in self._constants:
            return self._constants[name]
        maker = self._makers.get(name)
        return self._constant(maker.input[0]) if maker is not None and maker.op_type in ("Cast", "Reshape") else None

    def _narrow(self, name: str) -> str:
        if name not in self._casts:
            self._casts[name] = f"{name}.{self._type}"
            self._nodes.append(self._cast(name, self._casts[name], self._type))
        return self._casts[name]

    def _cast(self, source: str, target: str, kind: int) -> Any:
        return self._onnx.helper.make_node("Cast", [source], [target], name=f"{target}.cast", to=kind)
