"""The tensorrt engine without a GPU: plans and their refusals, the pool around the network, a build by the real RTX."""

import dataclasses
import json
import shutil

import numpy as np
import onnx
import pytest
from tritone_backend.engines.onnxruntime import OnnxRuntimeEngine
from tritone_backend.engines.tensorrt.build import BuildOptions, build_plan
from tritone_backend.engines.tensorrt.engine import TensorRTEngine
from tritone_backend.engines.tensorrt.library import Library, find_library
from tritone_backend.engines.tensorrt.observers import make_monitor
from tritone_backend.engines.tensorrt.plans import PlanInfo, check_batches, digest, read_info, read_plan, write_plan
from tritone_backend.engines.tensorrt.precision import typed_graph
from tritone_backend.errors import EngineError, ModelError
from tritone_backend.models.registry import find_model
from tritone_backend.spec import AcousticSpec

from tests.engines.fake_tensorrt import VERSION, fake_library

pytestmark = pytest.mark.unit


@pytest.fixture
def spec(tmp_path, monkeypatch) -> AcousticSpec:
    """A copy of the default model, with nothing else to be found on this machine."""
    monkeypatch.setenv("TRITONE_CACHE", str(tmp_path / "cache"))
    return AcousticSpec.load(shutil.copytree(find_model("default"), tmp_path / "default"))


def _info(spec: AcousticSpec, content: bytes, **changes) -> PlanInfo:
    info = PlanInfo(
        network=digest(spec.onnx.read_bytes()),
        flavour="tensorrt",
        version=VERSION,
        architectures=("sm90",),
        precision="fp16",
        batches=(2, 4),
        state_size=spec.state_size,
        plan=digest(content),
    )
    return dataclasses.replace(info, **changes)


def _engine(spec: AcousticSpec) -> TensorRTEngine:
    return TensorRTEngine(spec, device="cpu", library=fake_library(), architecture="sm90")


def test_results_are_those_of_the_graph_whatever_slots_and_company(spec):
    graph = spec.onnx.read_bytes()
    write_plan(spec.onnx.parent / "plans", _info(spec, graph), graph)
    engine, reference = _engine(spec), OnnxRuntimeEngine(spec, threads=1)
    engine.allocate(6)
    reference.allocate(3)
    signal = (np.random.default_rng(0).standard_normal((4, 3, 2400)) * 2000).astype(np.int16)
    slots = np.array([5, 0, 3], np.int32)
    for chunk in range(4):
        fresh = np.array([chunk == 0, chunk in (0, 2), chunk == 0])  # the second stream ends, another takes its slot
        expected = np.concatenate(
            [reference.step(signal[chunk, i : i + 1], np.array([i], np.int32), fresh[i : i + 1]) for i in range(3)]
        )
        order = np.random.default_rng(chunk).permutation(3)
        got = engine.step(signal[chunk, order], slots[order], fresh[order])
        assert np.abs(got - expected[order]).max() < 2e-5
    contexts = engine._plan.engine.contexts
    assert [context.shapes["signal"][0] for context in contexts] == [2, 4]
    assert [context.profile for context in contexts] == [0, 1]
    assert contexts[0].calls == 0
    assert contexts[1].calls == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "0" * 64}, r"built for another network \(0{12}, this one is [0-9a-f]{12}\): build one with"),
        ({"architectures": ("sm80", "sm89")}, "built for GPUs of sm80 and sm89, this one is sm90: build one with"),
        ({"version": "10.1.0"}, f"built by tensorrt 10.1.0, here is tensorrt {VERSION}: build one with"),
        ({"flavour": "tensorrt_rtx"}, f"built by tensorrt_rtx {VERSION}, here is tensorrt {VERSION}: build one with"),
        ({"plan": "1" * 64}, "is damaged: its hash is not the one in its description"),
        ({"state_size": 7}, "has a state of 7 values, model.toml says"),
    ],
)
def test_a_plan_that_does_not_belong_here_is_one_line(spec, changes, message):
    write_plan(spec.onnx.parent / "plans", _info(spec, b"plan", **changes), b"plan")
    with pytest.raises(EngineError, match=message) as refusal:
        _engine(spec)
    assert "\n" not in refusal.value.user_message


def test_a_plan_that_tensorrt_refuses_and_none_at_all(spec):
    with pytest.raises(EngineError, match="has no TensorRT plan: build one with `tritone model build"):
        _engine(spec)
    write_plan(spec.onnx.parent / "plans", _info(spec, b"not a plan"), b"not a plan")
    with pytest.raises(
        EngineError, match="TensorRT refuses the plan: magic tag does not match: build it anew"
    ) as refusal:
        _engine(spec)
    assert "\n" not in refusal.value.user_message


def test_a_fitting_plan_is_found_among_others_also_in_the_cache(spec, tmp_path):
    graph = spec.onnx.read_bytes()
    write_plan(spec.onnx.parent / "plans", _info(spec, graph, architectures=("sm80",)), graph)
    write_plan(tmp_path / "cache" / "plans", _info(spec, graph), graph)
    assert _engine(spec)._plan.info.architectures == ("sm90",)


def test_more_slots_than_memory_name_the_number_that_fits(spec):
    graph = spec.onnx.read_bytes()
    write_plan(spec.onnx.parent / "plans", _info(spec, graph), graph)
    with pytest.raises(EngineError, match=r"at most \d+ fit, use --max-streams \d+ or fewer"):
        _engine(spec).allocate(10**9)


def test_descriptions(spec, tmp_path):
    path = write_plan(tmp_path, _info(spec, b"x"), b"x")
    assert path.name == f"tensorrt-{VERSION}-sm90-fp16-{digest(spec.onnx.read_bytes())[:12]}.plan"
    assert read_info(path) == _info(spec, b"x")
    assert read_plan(path, read_info(path)) == b"x"
    described = path.with_name(path.name + ".json")
    table = json.loads(described.read_text(encoding="utf-8"))
    described.write_text(json.dumps(table | {"format": 9}), encoding="utf-8")
    with pytest.raises(EngineError, match="format 9, not 1"):
        read_info(path)
    described.unlink()
    with pytest.raises(EngineError, match="has no description"):
        read_info(path)
    assert check_batches([8, 1, 8]) == (1, 8)
    with pytest.raises(EngineError, match="--batches"):
        check_batches([0])


def test_library_that_is_missing_or_too_old():
    def missing(name):
        raise ModuleNotFoundError(name)

    with pytest.raises(EngineError, match="TensorRT is not installed: pip install"):
        find_library(load=missing)
    old = type("Old", (), {"__version__": "8.6.1", "IExecutionContext": object})
    with pytest.raises(EngineError, match=r"tensorrt 8.6.1 is too old: the tensorrt engine needs 10.1 or newer"):
        find_library("tensorrt", load=lambda name: old)


def test_progress_is_at_most_one_line_a_second():
    now, lines = [0.0], []
    api = type("Api", (), {"IProgressMonitor": type("Base", (), {"__init__": lambda self: None})})
    monitor = make_monitor(api, lines.append, clock=lambda: now[0])
    monitor.phase_start("building", None, 10)
    for step in range(10):
        now[0] += 0.25
        assert monitor.step_complete("building", step)
    monitor.phase_finish("building")
    assert lines == ["building 0/10", "building 4/10", "building 8/10"]


@pytest.mark.parametrize(("precision", "bound"), [("fp16", 3e-2), ("bf16", 0.5)])
def test_sixteen_bit_products_stay_near_the_graph(spec, tmp_path, precision, bound):
    content, changed = typed_graph(spec.onnx, precision)
    assert changed == 145
    graph = onnx.load_from_string(content)
    onnx.checker.check_model(graph)
    kind = {"fp16": onnx.TensorProto.FLOAT16, "bf16": onnx.TensorProto.BFLOAT16}[precision]
    narrowed = {node.output[0] for node in graph.graph.node if node.op_type == "Cast" and node.attribute[0].i == kind}
    products = [node for node in graph.graph.node if node.op_type in ("Gemm", "Conv") and node.input[1] in narrowed]
    assert len(products) == changed
    if precision == "fp16":  # ONNX Runtime has no bfloat16 products on a CPU
        (tmp_path / "typed").mkdir()
        typed = tmp_path / "typed" / "model.onnx"
        typed.write_bytes(content)
        signal = (np.random.default_rng(1).standard_normal((2, 2400)) * 3000).astype(np.int16)
        results = []
        for path in (spec.onnx, typed):
            engine = OnnxRuntimeEngine(dataclasses.replace(spec, onnx=path), threads=1)
            engine.allocate(2)
            results.append(engine.step(signal, np.arange(2, dtype=np.int32), np.ones(2, bool)))
        assert 0 < np.abs(results[0] - results[1]).max() < bound


def test_unknown_precision_and_a_file_that_is_no_graph(spec, tmp_path):
    with pytest.raises(EngineError, match="unknown precision 'int4'"):
        typed_graph(spec.onnx, "int4")
    (tmp_path / "broken.onnx").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"is not an ONNX graph|no float32 products"):
        typed_graph(tmp_path / "broken.onnx", "fp16")


def _rtx() -> Library:
    try:
        return find_library("tensorrt_rtx")
    except EngineError as error:
        pytest.skip(error.user_message)


@pytest.mark.slow
def test_rtx_builds_a_plan_for_real_without_a_gpu(spec):
    library, lines = _rtx(), []
    options = BuildOptions(batches=(4, 1), targets=("sm89", "sm120"), folder=spec.onnx.parent / "plans")
    path, info = build_plan(spec, library, options, lines.append)
    assert (info.batches, info.architectures, info.version) == ((1, 4), ("sm89", "sm120"), library.version)
    assert read_info(path) == info
    assert path.stat().st_size > 10_000_000
    assert any("Building engine" in line for line in lines)
    with pytest.raises(EngineError, match="does not build for sm90: it knows"):
        build_plan(spec, library, dataclasses.replace(options, targets=("sm90",)), lines.append)
