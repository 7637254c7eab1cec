"""A model folder with the public contract and almost no network: makes the real service start in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STATE = 4
DESCRIPTION = """
name = "tiny"
version = "1"
description = "blanks whatever it hears"
language = "ru"
license = "Apache-2.0"
[audio]
sample_rate = 8000
chunk_samples = 2400
padding_samples = 2400
[output]
frame_seconds = 0.03
frames_per_chunk = 10
labels = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя "
blank = 34
time_bias_seconds = 0.33
[state]
size = 4
dtype = "float16"
[files]
onnx = "model.onnx"
sha256 = ""
"""


def write_model(folder: Path) -> Path:
    """Writes model.toml and model.onnx: every frame is the blank, the state counts chunks."""
    folder.mkdir(parents=True)
    frames = np.full((1, 10, 35), -10.0, np.float32)
    frames[..., 34] = 0.0
    constants = {
        "frames": frames,
        "one": np.ones((1, STATE), np.float16),
        "zero": np.zeros((), np.float32),
        "axes": np.array([1, 2], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["signal"], ["sound"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["sound", "axes"], ["level"], keepdims=1),
        helper.make_node("Mul", ["level", "zero"], ["nothing"]),
        helper.make_node("Add", ["frames", "nothing"], ["logprobs"]),
        helper.make_node("Add", ["state", "one"], ["state_next"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
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
    (folder / "model.toml").write_text(DESCRIPTION)
    return folder
