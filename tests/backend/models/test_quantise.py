"""8-bit graphs: near the float32 graph, independent of company to the bit, refused where nothing can be rewritten."""

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tritone_backend.decoding.language import LanguageModel
from tritone_backend.decoding.settings import DecodingSettings
from tritone_backend.engines.onnxruntime import OnnxRuntimeEngine
from tritone_backend.errors import ModelError
from tritone_backend.models.eight_bits import add_quantised, compare_graphs, noise_and_tones
from tritone_backend.models.quantise import NARROW_LEVELS, quantise_columns, quantise_graph
from tritone_backend.models.registry import find_model
from tritone_backend.spec import AcousticSpec

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def spec() -> AcousticSpec:
    return AcousticSpec.load(find_model("default"))


@pytest.fixture(scope="module")
def graph(spec, tmp_path_factory):
    path = tmp_path_factory.mktemp("eight") / "model.onnx"
    done = quantise_graph(spec.onnx, path)
    assert done.products in (131, 133)  # with the two wide convolutions where 8 bits make them faster
    assert done.joined < done.products  # of one input
    assert path.stat().st_size < 0.75 * spec.onnx.stat().st_size
    return path


@given(seed=st.integers(0, 1000), spread=st.floats(1e-6, 1e6))
def test_a_weight_is_off_by_half_a_step_at_most(seed, spread):
    matrix = np.random.default_rng(seed).standard_normal((5, 7)) * spread
    matrix[2] = 0
    integers, scale = quantise_columns(matrix)
    assert integers.shape == (7, 5)
    assert np.abs(integers * scale.astype(np.float64) - matrix.T).max() <= 0.500001 * scale.max()
    assert not integers[:, 2].any()


def test_log_probs_stay_near_and_the_best_class_the_same(spec, graph):
    difference = compare_graphs(spec, graph, noise_and_tones(3, 6 * spec.chunk_samples))
    assert 0 < difference.mean < 0.2
    assert difference.equal > 0.97
    onnx.checker.check_model(onnx.load(graph))


@pytest.mark.parametrize(("exact", "largest"), [(True, 127), (False, 63)])
def test_weights_keep_to_what_the_machine_adds_exactly(spec, tmp_path, monkeypatch, exact, largest):
    monkeypatch.setattr("tritone_backend.models.quantise.signed_sums_are_exact", lambda onnx: exact)
    quantise_graph(spec.onnx, tmp_path / "model.onnx")
    weights = [item for item in onnx.load(tmp_path / "model.onnx").graph.initializer if item.name.endswith(".q8")]
    assert {item.data_type for item in weights} == {TensorProto.INT8}
    assert max(np.abs(onnx.numpy_helper.to_array(item).astype(int)).max() for item in weights) == largest


def test_narrow_weights_are_summed_exactly_on_any_machine():
    nodes = [helper.make_node("MatMulInteger", ["a", "b"], ["c"])]
    values = {"a": np.full((9, 512), 255, np.uint8), "b": np.full((512, 32), int(NARROW_LEVELS), np.int8)}
    kinds = [("a", TensorProto.UINT8), ("b", TensorProto.INT8), ("c", TensorProto.INT32)]
    infos = [helper.make_tensor_value_info(name, kind, ["m", "n"]) for name, kind in kinds]
    model = helper.make_model(
        helper.make_graph(nodes, "sum", infos[:2], infos[2:]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert (session.run(None, values)[0] == 512 * 255 * int(NARROW_LEVELS)).all()


def test_a_stream_is_bit_identical_in_any_company(spec, graph):
    engine = OnnxRuntimeEngine(dataclasses.replace(spec, onnx=graph), threads=2)
    engine.allocate(16)
    signal = noise_and_tones(7, spec.chunk_samples).astype(np.int16)
    together = engine.step(signal, np.arange(7, dtype=np.int32), np.ones(7, bool))
    for stream in range(7):
        alone = engine.step(signal[stream : stream + 1], np.array([9], np.int32), np.ones(1, bool))
        assert np.array_equal(alone[0], together[stream])


def test_the_model_is_added_under_a_name_of_its_own(spec, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITONE_MODELS", str(tmp_path))
    made, _, difference = add_quantised(spec, "small", replace_old=False)
    assert (made.name, made.labels, made.time_bias_seconds) == ("small", spec.labels, spec.time_bias_seconds)
    assert "best class equal in" in difference.summary
    assert DecodingSettings.load(tmp_path / "small") == DecodingSettings.load(spec.onnx.parent)
    assert LanguageModel(tmp_path / "small" / "language-model.bin", spec).words > 100_000  # those of classes too
    with pytest.raises(ModelError, match="exists already"):
        add_quantised(spec, "small", replace_old=False)


def test_graphs_without_products_are_refused(tmp_path):
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", value[:1], value[1:])
    onnx.save(helper.make_model(graph), tmp_path / "abs.onnx")
    with pytest.raises(ModelError, match="has no linear layer"):
        quantise_graph(tmp_path / "abs.onnx", tmp_path / "out.onnx")
    with pytest.raises(ModelError, match=r"is not an ONNX graph|has no linear layer"):
        quantise_graph(tmp_path / "missing.onnx", tmp_path / "out.onnx")
