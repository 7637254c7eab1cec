"""A model folder whose network babbles: letters follow the loudness of frames and, through the state, of the chunks
before. Costs almost nothing, yet a stream that gets another's audio or state says other words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.serve.tiny_model import DESCRIPTION, STATE


def write_model(folder: Path) -> Path:
    """Writes model.toml and model.onnx."""
    folder.mkdir(parents=True)
    constants = {
        "frames": np.array([0, 10, 240], np.int64),
        "last_axis": np.array([2], np.int64),
        "first": np.array([0], np.int64),
        "second": np.array([1], np.int64),
        "feature_axis": np.array([1], np.int64),
        "scale": np.array(16.0, np.float32),
        "letters": np.array(34.0, np.float32),
        "floor": np.array(40.0, np.float32),
        "blank": np.array(34.0, np.float32),
        "depth": np.array(35, np.int64),
        "values": np.array([-10.0, 0.0], np.float32),
        "fade": np.array(0.5, np.float32),
        "small": np.array(0.001, np.float32),
        "wide": np.array([1, STATE], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["signal"], ["sound"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["sound", "frames"], ["framed"]),
        helper.make_node("Abs", ["framed"], ["loud"]),
        helper.make_node("ReduceMean", ["loud", "last_axis"], ["level"], keepdims=0),
        helper.make_node("Slice", ["state", "first", "second", "feature_axis"], ["memory16"]),
        helper.make_node("Cast", ["memory16"], ["memory"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["level", "scale"], ["steps"]),
        helper.make_node("Add", ["steps", "memory"], ["shifted"]),
        helper.make_node("Mod", ["shifted", "letters"], ["wrapped"], fmod=1),
        helper.make_node("Floor", ["wrapped"], ["letter"]),
        helper.make_node("Less", ["level", "floor"], ["quiet"]),
        helper.make_node("Where", ["quiet", "blank", "letter"], ["label"]),
        helper.make_node("Cast", ["label"], ["index"], to=TensorProto.INT64),
        helper.make_node("OneHot", ["index", "depth", "values"], ["logprobs"], axis=-1),
        helper.make_node("ReduceMean", ["level", "feature_axis"], ["mean"], keepdims=1),
        helper.make_node("Mul", ["mean", "small"], ["news"]),
        helper.make_node("Mul", ["memory", "fade"], ["faded"]),
        helper.make_node("Add", ["news", "faded"], ["next"]),
        helper.make_node("Expand", ["next", "wide"], ["next_wide"]),
        helper.make_node("Cast", ["next_wide"], ["state_next"], to=TensorProto.FLOAT16),
    ]
    graph = helper.make_graph(
        nodes,
        "babble",
        [
            helper.make_tensor_value_info("signal", TensorProto.INT32, ["batch", 2400, 1]),
            helper.make_tensor_value_info("state", TensorProto.FLOAT16, ["batch", STATE]),
        ],
        [
            helper.make_tensor_value_info("logprobs", TensorProto.FLOAT, ["batch", 10, 35]),
            helper.make_tensor_value_info("state_next", TensorProto.FLOAT16, ["batch", STATE]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(folder / "model.onnx"))
    (folder / "model.toml").write_text(DESCRIPTION.replace('"tiny"', '"babble"'))
    return folder
