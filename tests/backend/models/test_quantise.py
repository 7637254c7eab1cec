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
from tritone_backend.models.calibrate import made_sound, noise_and_tones
from tritone_backend.models.eight_bits import add_quantised, compare_graphs
from tritone_backend.models.graph_editor import GraphEditor
from tritone_backend.models.quantise import quantise_graph
from tritone_backend.models.registry import find_model
from tritone_backend.models.rounding import MARGIN, NARROW_LEVELS, by_peak, by_range, quantise_columns
from tritone_backend.spec import AcousticSpec

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def spec() -> AcousticSpec:
    return AcousticSpec.load(find_model("default"))


@pytest.fixture(scope="module")
def graph(spec, tmp_path_factory):
    path = tmp_path_factory.mktemp("eight") / "model.onnx"
    done = quantise_graph(spec.onnx, path, made_sound())
    assert done.products in (131, 132)  # with the wide convolution where 8 bits make it faster
    assert done.calibrated == 94  # the others follow a gate
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


def run_nodes(make_nodes, width, rows):
    """Run nodes from x to y; `make_nodes` gets an editor."""
    model = helper.make_model(
        helper.make_graph(
            [],
            "rounding",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["m", width])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["m", width])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    editor = GraphEditor(onnx, model)
    model.graph.node.extend(make_nodes(editor))
    editor.replace({})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.asarray(rows, np.float32)})[0]


@given(low=st.floats(-1e3, 0), high=st.floats(0, 1e3), seed=st.integers(0, 99))
def test_inside_a_range_a_value_is_off_by_a_step_at_most_and_beyond_it_is_cut_off(low, high, seed):
    def nodes(editor):
        node, u8, step, zero = by_range(editor, "x", "a", (low, high))
        return [node, helper.make_node("DequantizeLinear", [u8, step, zero], ["y"])]

    inside = np.random.default_rng(seed).uniform(low, high, 6)
    step = MARGIN * (high - low) / 255
    back = run_nodes(nodes, 9, [[*inside, 0.0, 1e30, -np.inf]])[0]
    assert back[6] == 0  # zeros stay zeros
    assert np.abs(back[:6] - inside).max() <= 0.51 * step + 1e-6
    assert abs(back[7] - MARGIN * high) <= 1.01 * step + 1e-6
    assert abs(back[8] - MARGIN * low) <= 1.01 * step + 1e-6


def test_rows_of_zeros_stay_zeros_beside_rows_of_any_size():
    def nodes(editor):
        found, u8, peak = by_peak(editor, "x", "a", [-1])
        back = helper.make_node("DequantizeLinear", [u8, "q8.step", "q8.zero128"], ["unit.back"])
        return [*found, back, helper.make_node("Mul", ["unit.back", peak], ["y"])]

    rows = np.array([[0, 0, 0, 0], [1e-30, -2e-30, 0, 0], [3e30, 1e30, -1e30, 0], [0.5, -1, 0.25, 1]])
    back = run_nodes(nodes, 4, rows)
    assert not back[0].any()
    assert (np.abs(back - rows) <= 0.51 / 127 * np.abs(rows).max(axis=1, keepdims=True)).all()


def test_log_probs_stay_near_and_the_best_class_the_same(spec, graph):
    difference = compare_graphs(spec, graph, noise_and_tones(3, 6 * spec.chunk_samples))
    assert 0 < difference.mean < 0.2
    assert difference.equal > 0.97
    onnx.checker.check_model(onnx.load(graph))


@pytest.mark.parametrize(("exact", "largest"), [(True, 127), (False, 63)])
def test_weights_keep_to_what_the_machine_adds_exactly(spec, tmp_path, monkeypatch, exact, largest):
    monkeypatch.setattr("tritone_backend.models.quantise.signed_sums_are_exact", lambda onnx: exact)
    quantise_graph(spec.onnx, tmp_path / "model.onnx", noise_and_tones(1, spec.chunk_samples))
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


@pytest.mark.parametrize("loudness", [1, 20])
def test_a_stream_is_bit_identical_in_any_company(spec, graph, loudness):
    engine = OnnxRuntimeEngine(dataclasses.replace(spec, onnx=graph), threads=2)
    engine.allocate(16)
    signal = np.clip(loudness * noise_and_tones(7, spec.chunk_samples), -32768, 32767).astype(np.int16)
    together = engine.step(signal, np.arange(7, dtype=np.int32), np.ones(7, bool))
    for stream in range(7):
        alone = engine.step(signal[stream : stream + 1], np.array([9], np.int32), np.ones(1, bool))
        assert np.array_equal(alone[0], together[stream])


def test_sound_beyond_what_it_was_calibrated_on_gives_probabilities(spec, tmp_path):
    quiet = noise_and_tones(2, 4 * spec.chunk_samples) // 1000
    quantise_graph(spec.onnx, tmp_path / "model.onnx", quiet)
    engine = OnnxRuntimeEngine(dataclasses.replace(spec, onnx=tmp_path / "model.onnx"), threads=1)
    engine.allocate(1)
    square = np.where(np.arange(spec.chunk_samples) % 20 < 10, 32767, -32768).astype(np.int16)[None]
    for fresh in (True, False, False):
        logprobs = engine.step(square, np.zeros(1, np.int32), np.array([fresh]))
        assert np.allclose(np.exp(logprobs.astype(np.float64)).sum(axis=2), 1, atol=1e-3)


def test_the_model_is_added_under_a_name_of_its_own(spec, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITONE_MODELS", str(tmp_path))
    told = []
    made, _, difference = add_quantised(spec, "small", replace_old=False, say=told.append)
    assert told[0] == "calibrating on 48 s of noise and tones"
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
        quantise_graph(tmp_path / "abs.onnx", tmp_path / "out.onnx", noise_and_tones(1, 2400))
    with pytest.raises(ModelError, match=r"is not an ONNX graph|has no linear layer"):
        quantise_graph(tmp_path / "missing.onnx", tmp_path / "out.onnx", noise_and_tones(1, 2400))
