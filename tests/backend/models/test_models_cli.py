"""`tritone model list|info|add|pull` on small graphs made here."""

import argparse
import sys
import types

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tritone_backend.errors import ModelError
from tritone_backend.models import cli, registry
from tritone_backend.models.graph import GraphSizes, read_sizes
from tritone_backend.spec import AcousticSpec

pytestmark = pytest.mark.unit
CHUNK, FRAMES, CLASSES, STATE = 2400, 10, 35, 7


def make_graph(
    path, *, classes=CLASSES, batch="batch", state=STATE, signal_type=TensorProto.INT32, logs=True, rename=None
):
    """Write a graph of the public contract: uniform log-probs, the state handed on."""
    level = -np.log(classes) if logs else 1.0
    constants = [
        numpy_helper.from_array(np.full((1, FRAMES, classes), level, dtype=np.float32), "level"),
        numpy_helper.from_array(np.array([-1, 1, 1], dtype=np.int64), "shape"),
    ]
    nodes = [
        helper.make_node("Cast", ["state"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["wide"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["mean", "mean"], ["zero"]),
        helper.make_node("Reshape", ["zero", "shape"], ["column"]),
        helper.make_node("Add", ["column", "level"], [rename or "logprobs"]),
        helper.make_node("Identity", ["state"], ["state_next"]),
    ]
    inputs = [
        helper.make_tensor_value_info("signal", signal_type, [batch, CHUNK, 1]),
        helper.make_tensor_value_info("state", TensorProto.FLOAT16, [batch, state]),
    ]
    outputs = [
        helper.make_tensor_value_info(rename or "logprobs", TensorProto.FLOAT, [batch, FRAMES, classes]),
        helper.make_tensor_value_info("state_next", TensorProto.FLOAT16, [batch, state]),
    ]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def root(tmp_path, monkeypatch):
    root = tmp_path / "registered"
    monkeypatch.setenv("TRITONE_MODELS", str(root))
    return root


def command(*words):
    parser = argparse.ArgumentParser(prog="tritone model")
    cli.configure(parser)
    return cli.run(parser.parse_args([str(word) for word in words]))


def test_add_list_info(root, tmp_path, capsys):
    graph = make_graph(tmp_path / "mine.onnx")
    assert command("add", graph) == 0
    assert "--model mine" in capsys.readouterr().out
    spec = AcousticSpec.load(root / "mine")
    assert (spec.chunk_samples, spec.frames_per_chunk, spec.state_size, spec.blank) == (2400, 10, 7, 34)
    assert (spec.padding_samples, spec.time_bias_seconds, spec.frame_seconds) == (2400, 0.33, 0.03)
    assert spec.labels[:7] == "абвгдеё"
    assert spec.labels[-1] == " "
    assert spec.onnx.read_bytes() == graph.read_bytes()
    assert [path.name for path in root.iterdir()] == ["mine"]

    assert command("list") == 0
    assert str(root / "mine") in capsys.readouterr().out
    assert command("info", "mine") == 0
    assert "intact" in capsys.readouterr().out
    spec.onnx.write_bytes(spec.onnx.read_bytes() + b"\0")
    assert command("info", root / "mine") == 1
    assert "CHANGED" in capsys.readouterr().out


def test_name_labels_and_replacement(root, tmp_path):
    graph = make_graph(tmp_path / "model.onnx", classes=5)
    with pytest.raises(ModelError, match="5 classes"):
        command("add", graph, "--name", "tiny")
    command("add", graph, "--name", "tiny", "--labels", "abc ", "--time-bias", "0.1")
    assert AcousticSpec.load(root / "tiny").labels == "abc "
    assert AcousticSpec.load(root / "tiny").time_bias_seconds == 0.1
    with pytest.raises(ModelError, match="exists already"):
        command("add", graph, "--name", "tiny", "--labels", "abc ")
    command("add", graph, "--name", "tiny", "--labels", "xyz ", "--force")
    assert AcousticSpec.load(root / "tiny").labels == "xyz "
    with pytest.raises(ModelError, match="no model name"):
        command("add", graph, "--name", "../tiny")
    assert [path.name for path in root.iterdir()] == ["tiny"]


def test_a_file_called_model_takes_the_name_of_its_folder(root, tmp_path):
    folder = tmp_path / "calls"
    folder.mkdir()
    command("add", make_graph(folder / "model.onnx"))
    assert registry.find_model("calls") == (root / "calls").resolve()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signal_type": TensorProto.INT64}, "signal is tensor\\(int64\\)"),
        ({"batch": 4}, "fixed batch of 4"),
        ({"state": "n"}, "only the batch may be variable"),
        ({"rename": "scores"}, "has no logprobs"),
        ({"logs": False}, "not natural logarithms"),
    ],
)
def test_a_graph_of_another_contract_is_refused(root, tmp_path, change, message):
    graph = make_graph(tmp_path / "other.onnx", **change)
    with pytest.raises(ModelError, match=message) as caught:
        command("add", graph)
    assert "\n" not in caught.value.user_message
    assert not (root / "other").exists()


def test_sizes(tmp_path):
    assert read_sizes(make_graph(tmp_path / "m.onnx")) == GraphSizes(CHUNK, FRAMES, CLASSES, STATE)


def test_files_that_are_no_graph(root, tmp_path):
    (tmp_path / "noise.onnx").write_bytes(b"noise")
    for name, message in (("noise.onnx", "can load"), ("missing.onnx", "not a file")):
        with pytest.raises(ModelError, match=message) as caught:
            command("add", tmp_path / name)
        assert "\n" not in caught.value.user_message


def test_without_models(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(registry, "model_roots", lambda: [tmp_path / "nowhere"])
    assert command("list") == 0
    assert "tritone model add" in capsys.readouterr().err
    with pytest.raises(ModelError, match="no model 'x'"):
        command("info", "x")


def test_a_name_that_leads_elsewhere_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("TRITONE_MODELS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    taken = tmp_path / "checkout" / "mine"
    monkeypatch.setattr("tritone_backend.models.add.found_models", lambda: {"mine": taken})
    graph = make_graph(tmp_path / "mine.onnx")
    with pytest.raises(ModelError, match="found first"):
        command("add", graph)
    command("add", graph, "--name", "other")
    assert (tmp_path / "data" / "tritone" / "models" / "other" / "model.toml").is_file()


def test_pull(root, tmp_path, monkeypatch, capsys):
    asked = []

    def download(repository, file):
        asked.append((repository, file))
        return str(make_graph(tmp_path / "cached.onnx"))

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(hf_hub_download=download))
    assert command("pull", "t-one") == 0
    assert asked == [("t-tech/T-one", "model.onnx")]
    assert AcousticSpec.load(root / "t-one").name == "t-one"
    assert "pulling model.onnx of t-tech/T-one" in capsys.readouterr().err
    with pytest.raises(ModelError, match="there are: t-one"):
        command("pull", "t-two")


def test_pull_without_client_or_network(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"pip install 'tritone\[hub\]'"):
        command("pull", "t-one")

    def offline(repository, file):
        raise ConnectionError("no route to host\nand a long story")

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(hf_hub_download=offline))
    with pytest.raises(ModelError, match="no route to host") as caught:
        command("pull", "t-one")
    assert "\n" not in caught.value.user_message
    assert not (root / "t-one").exists()


def test_export_is_among_the_commands(capsys):
    with pytest.raises(SystemExit):
        command("export", "--help")
    assert "CHECKPOINT" in capsys.readouterr().out


def test_build_says_what_recordings_it_needs(root, tmp_path):
    with pytest.raises(ModelError, match="is not a folder: name one with recordings"):
        command("build", "default", "--engine", "onnxruntime", "--calibrate", tmp_path / "none")
