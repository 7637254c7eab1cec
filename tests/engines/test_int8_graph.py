"""The engine in 8 bits: when it is chosen, that its graph is made once, and that company changes nothing."""

import shutil
import sys

import numpy as np
import pytest
from tritone_backend.engines import choose, create_engine, int8_graph
from tritone_backend.errors import EngineError, ModelError
from tritone_backend.models.registry import find_model
from tritone_backend.spec import AcousticSpec

pytestmark = pytest.mark.unit


@pytest.fixture
def no_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr(choose, "_GPU_DEVICES", ())
    monkeypatch.setenv("TRITONE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def without_word(tmp_path):
    """The default model, whose description says nothing of 8 bits."""
    copy = tmp_path / "silent"
    shutil.copytree(find_model("default"), copy)
    description = copy / "model.toml"
    description.write_text(description.read_text(encoding="utf-8").replace("[precision]\nint8 = true\n", ""))
    return copy


def chosen(model, monkeypatch, exact=True):
    monkeypatch.setattr(int8_graph, "signed_sums_are_exact", lambda onnx: exact)
    engine, why = create_engine("auto", model, threads=1)
    return engine.name, why


def test_auto_takes_them_where_the_model_and_the_processor_say_so(no_gpu, monkeypatch, without_word):
    name, why = chosen(find_model("default"), monkeypatch)
    assert (name, why) == ("onnxruntime-int8", "onnxruntime-int8 (no NVIDIA GPU here; 8 bits are fast here)")
    assert chosen(find_model("default"), monkeypatch, exact=False)[0] == "onnxruntime"
    assert chosen(without_word, monkeypatch)[0] == "onnxruntime"


def test_auto_does_without_the_onnx_package_and_says_so(no_gpu, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    name, why = chosen(find_model("default"), monkeypatch)
    assert name == "onnxruntime"
    assert "pip install 'tritone[onnxruntime]'" in why


def test_without_onnx_runtime_one_line_says_what_is_missing(no_gpu, monkeypatch):
    for module in ("onnxruntime", "tritone_backend.engines.onnxruntime", "tritone_backend.engines.int8_graph"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EngineError, match=r"pip install 'tritone\[onnxruntime\]'"):
        create_engine("auto", find_model("default"), threads=1)


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(no_gpu, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRITONE_CACHE", str(tmp_path / "file" / "cache"))
    assert chosen(find_model("default"), monkeypatch)[0] == "onnxruntime"
    with pytest.raises(EngineError, match="set TRITONE_CACHE"):
        create_engine("onnxruntime-int8", find_model("default"), threads=1)


def test_the_graph_is_made_once(no_gpu, monkeypatch):
    spec = AcousticSpec.load(find_model("default"))
    made = int8_graph.int8_graph(spec)
    monkeypatch.setattr(int8_graph, "quantise_graph", lambda *_: pytest.fail("made again"))
    assert int8_graph.int8_graph(spec) == made
    assert [path.name for path in made.parent.iterdir()] == [made.name]


def test_streams_are_the_same_in_any_company(no_gpu):
    engine, _ = create_engine("onnxruntime-int8", find_model("default"), threads=2)
    engine.allocate(8)
    signal = np.random.default_rng(5).integers(-3000, 3000, (3, 7, 2400)).astype(np.int16)
    slots = np.arange(7, dtype=np.int32)
    together = [engine.step(chunk, slots, np.full(7, number == 0)).copy() for number, chunk in enumerate(signal)]
    for stream in range(7):
        lane = engine.lanes[stream % 2]
        for number, chunk in enumerate(signal):
            alone = lane.step(chunk[stream : stream + 1], np.array([7], np.int32), np.array([number == 0]))
            assert np.array_equal(alone[0], together[number][stream])


def test_a_flag_that_is_none_is_an_error(without_word):
    description = without_word / "model.toml"
    description.write_text(description.read_text(encoding="utf-8") + "\n[precision]\nint8 = 1\n")
    with pytest.raises(ModelError, match=r"precision.int8 must be true or false"):
        AcousticSpec.load(without_word)
