"""Whether this machine's products of unsigned with signed 8-bit integers are exact.

Processors with AVX2 but without VNNI add two such products in 16 bits, which overflow: ONNX Runtime then returns less
than the sum, unless weights keep to 7 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_DEPTH, _WIDTH = 64, 16


def signed_sums_are_exact(onnx: Any) -> bool:
    """Multiply the largest values once in ONNX Runtime.

    Args:
        onnx: the onnx package.

    Returns:
        False if the sum came out wrong, or ONNX Runtime is not installed.
    """
    try:
        from onnxruntime import InferenceSession
    except ModuleNotFoundError:
        return False
    make, types = onnx.helper, onnx.TensorProto
    graph = make.make_graph(
        [make.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "sum",
        [
            make.make_tensor_value_info("a", types.UINT8, [1, _DEPTH]),
            make.make_tensor_value_info("b", types.INT8, [_DEPTH, _WIDTH]),
        ],
        [make.make_tensor_value_info("c", types.INT32, [1, _WIDTH])],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values = {"a": np.full((1, _DEPTH), 255, np.uint8), "b": np.full((_DEPTH, _WIDTH), 127, np.int8)}
    return bool((session.run(None, values)[0] == _DEPTH * 255 * 127).all())
