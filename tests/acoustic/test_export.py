"""Checkpoints in every container, the exported graph against PyTorch and the public fixture, refusals in one line."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import save_file
from tritone_acoustic.checkpoint import CheckpointError, build_network, infer_config, read_checkpoint
from tritone_acoustic.cli import export as export_cli
from tritone_acoustic.config import T_ONE, AcousticConfig
from tritone_acoustic.errors import AcousticError
from tritone_acoustic.export import ExportError, export_checkpoint, graph_error, network_graph
from tritone_acoustic.model_file import ModelCard
from tritone_acoustic.network import AcousticModel

from .conftest import SMALL_CONFIGS, fill_weights

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.unit
NARROW = SMALL_CONFIGS["narrow"]


@pytest.fixture(scope="module")
def narrow() -> AcousticModel:
    return fill_weights(AcousticModel(NARROW))


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _save(model: AcousticModel, path: Path, *, prefix: str = "", nested: bool = False) -> Path:
    weights = {prefix + name: value.contiguous() for name, value in model.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save({"state_dict": weights, "epoch": 3} if nested else weights, path)
    return path


def _card(labels: str) -> ModelCard:
    return ModelCard("narrow", labels)


@pytest.mark.parametrize("prefix", ["", "tone."])
@pytest.mark.parametrize(("suffix", "nested"), [(".pt", False), (".pt", True), (".safetensors", False)])
def test_every_container_gives_the_same_weights(narrow, tmp_path, prefix, suffix, nested):
    path = _save(narrow, tmp_path / f"checkpoint{suffix}", prefix=prefix, nested=nested)
    content = read_checkpoint(path)
    assert infer_config(content.weights) == NARROW
    rebuilt = build_network(content.weights, NARROW).state_dict()
    assert all(torch.equal(value, rebuilt[name]) for name, value in narrow.state_dict().items())


@pytest.mark.parametrize(("precision", "suffix"), [("fp32", ".pt"), ("fp16", ".safetensors")])
def test_round_trip_through_the_command(narrow, tmp_path, capsys, precision, suffix):
    checkpoint = _save(narrow, tmp_path / f"c{suffix}", prefix="tone.")
    out = tmp_path / "models" / "narrow"
    parser = export_cli.argparse.ArgumentParser()
    export_cli.configure(parser)
    assert export_cli.run(parser.parse_args([str(checkpoint), str(out), "--precision", precision])) == 0
    assert "largest difference from PyTorch" in capsys.readouterr().out

    description = tomllib.loads((out / "model.toml").read_text())
    assert description["name"] == "narrow"
    assert description["audio"] == {"sample_rate": 8000, "chunk_samples": 2400, "padding_samples": 2400}
    assert description["output"]["labels"] == "абвгдеёжзийклмнопрстуфхцчшщъыьэюя "
    assert description["output"]["blank"] == 34
    assert description["output"]["frame_seconds"] == 0.03
    assert description["output"]["frames_per_chunk"] == 10
    assert description["output"]["time_bias_seconds"] == 0.33
    assert description["state"] == {"size": NARROW.state_size, "dtype": "float16"}
    assert description["files"]["sha256"] == hashlib.sha256((out / "model.onnx").read_bytes()).hexdigest()
    assert AcousticConfig.from_dict(description["architecture"]) == NARROW

    session = _session(out / "model.onnx")
    values = {v.name: (v.type, v.shape) for v in (*session.get_inputs(), *session.get_outputs())}
    assert values == {
        "signal": ("tensor(int32)", ["batch", 2400, 1]),
        "state": ("tensor(float16)", ["batch", NARROW.state_size]),
        "logprobs": ("tensor(float)", ["batch", 10, 35]),
        "state_next": ("tensor(float16)", ["batch", NARROW.state_size]),
    }


def test_graph_equals_network(small_config, tmp_path):
    model = fill_weights(AcousticModel(small_config))
    graph = network_graph(model)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, tmp_path / "model.onnx")
    assert graph_error(tmp_path / "model.onnx", model) <= 1e-3


def test_graph_keeps_public_names_and_half_the_bytes_of_matrices(narrow, tmp_path):
    public = {name: value for name, value in narrow.state_dict().items() if not name.endswith("num_batches_tracked")}
    stored = {i.name: numpy_helper.to_array(i) for i in network_graph(narrow, half=True).graph.initializer}
    for name, value in public.items():
        kind = np.float16 if value.ndim >= 2 else np.float32
        assert stored[name].dtype == kind
        np.testing.assert_array_equal(stored[name], value.numpy().astype(kind))


@pytest.fixture(scope="module")
def t_one_graph(t_one, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("t-one") / "model.onnx"
    onnx.save(network_graph(t_one), path)
    return path


def test_t_one_graph_against_the_public_fixture(t_one_graph, reference):
    session = _session(t_one_graph)
    state = np.zeros((2, T_ONE.state_size), dtype=np.float16)
    for index, (chunk, expected) in enumerate(zip(reference["signal"], reference["logprobs"], strict=True)):
        inputs = {"signal": chunk.astype(np.int32)[:, :, None], "state": state}
        logprobs, state = session.run(["logprobs", "state_next"], inputs)
        assert np.abs(logprobs - expected).max() <= (1e-5 if index == 0 else 3e-4)
        if index == 0:
            _assert_state(state, reference["state_first"])
    _assert_state(state, reference["state_last"])


def _assert_state(state: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(state[:, 0], expected[:, 0])
    np.testing.assert_allclose(state.astype(np.float32), expected.astype(np.float32), atol=4e-3, rtol=0)


def test_t_one_sizes_are_inferred(t_one):
    assert infer_config(t_one.state_dict()) == T_ONE


def test_ambiguous_rates_need_a_file(tmp_path):
    config = AcousticConfig(
        **{**NARROW.to_dict(), "reduction_after": 2, "upsample_after": 3}
    )  # block 3 owns its scores either way
    model = fill_weights(AcousticModel(config))
    with pytest.raises(CheckpointError, match="--config"):
        infer_config(model.state_dict())
    checkpoint = _save(model, tmp_path / "c.pt")
    settings = tmp_path / "sizes.toml"
    settings.write_text("[architecture]\nreduction_after = 2\nupsample_after = 3\n")
    result = export_checkpoint(checkpoint, tmp_path / "out", card=_card, config_file=settings)
    assert result.config == config


def test_settings_inside_the_checkpoint(narrow, tmp_path):
    labels = NARROW.to_dict() | {"labels": "abcdefghijklmnopqrstuvwxyz '-.,?!& "[:34]}
    torch.save({"state_dict": narrow.state_dict(), "config": labels}, tmp_path / "c.pt")
    export_checkpoint(tmp_path / "c.pt", tmp_path / "out", card=_card)
    assert tomllib.loads((tmp_path / "out" / "model.toml").read_text())["output"]["labels"] == labels["labels"]
    save_file(narrow.state_dict(), tmp_path / "c.safetensors", metadata={"config": json.dumps(labels)})
    assert read_checkpoint(tmp_path / "c.safetensors").settings == labels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"encoder.layers.1.feed_forward1.linearv.bias": None},
            r"has no encoder.layers.1.feed_forward1.linearv.bias 96$",
        ),
        (
            {"encoder.layers.3.conv.pointwise_conv2.weight": torch.zeros(48, 47, 1), "decoder.extra": torch.zeros(2)},
            r"^encoder.layers.3.conv.pointwise_conv2.weight has shape 48x47x1 .* expected 48x48x1$",
        ),
        ({"encoder.layers.0.self_attn.rel_pos": torch.zeros(3)}, "rel_pos is no part of the network"),
        ({"encoder.layers.5.norm_out.weight": torch.full((48,), torch.nan)}, "norm_out.weight holds values"),
        ({"encoder.layers.0.self_attn.q_ln.weight": None}, "not a T-one style network"),
        ({"encoder.layers.1.self_attn.linear_q.weight": torch.zeros(48, 48)}, "fits no rate change"),
    ],
)
def test_the_first_wrong_tensor_is_named(narrow, tmp_path, change, message):
    weights = {name: value for name, value in (dict(narrow.state_dict()) | change).items() if value is not None}
    torch.save(weights, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match=message) as caught:
        export_checkpoint(tmp_path / "c.pt", tmp_path / "out", card=_card)
    assert "\n" not in caught.value.user_message
    assert not (tmp_path / "out").exists()


def test_unreadable_checkpoints(tmp_path):
    (tmp_path / "noise.pt").write_bytes(b"noise")
    (tmp_path / "noise.safetensors").write_bytes(b"noise")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"epoch": 1}, tmp_path / "empty.pt")
    torch.save({"state_dict": Path("x")}, tmp_path / "object.pt")
    for name in ("noise.pt", "noise.safetensors", "list.pt", "empty.pt", "object.pt", "missing.pt"):
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(tmp_path / name)
        assert name in caught.value.user_message
        assert "\n" not in caught.value.user_message


def test_labels_must_fit(tmp_path):
    checkpoint = _save(fill_weights(AcousticModel(SMALL_CONFIGS["head-below-rope"])), tmp_path / "c.pt")
    sizes = tmp_path / "sizes.toml"
    sizes.write_text("reduction_after = 0\nupsample_after = 1\n")
    with pytest.raises(CheckpointError, match="34 labels for 20 classes"):
        export_checkpoint(checkpoint, tmp_path / "out", card=_card, config_file=sizes)


def test_a_wrong_graph_is_not_kept(narrow, tmp_path, monkeypatch):
    def sabotaged(model, *, half, metadata):
        other = fill_weights(AcousticModel(NARROW))
        with torch.no_grad():
            other.encoder.layers[3].norm_out.weight.mul_(1.5)
        return network_graph(other, half=half, metadata=metadata)

    monkeypatch.setattr("tritone_acoustic.export.network_graph", sabotaged)
    with pytest.raises(ExportError, match="nothing was written"):
        export_checkpoint(_save(narrow, tmp_path / "c.pt"), tmp_path / "out", card=_card)
    assert not (tmp_path / "out").exists()


def test_an_unwritable_folder_is_one_line(narrow, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(AcousticError, match="cannot write the model"):
        export_checkpoint(_save(narrow, tmp_path / "c.pt"), tmp_path / "file" / "out", card=_card)
