"""`tritone bench engine` on the CPU engine, its arithmetic, and what makes the GPU measurement fail."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tritone_acoustic.config import T_ONE
from tritone_backend.models.registry import find_model
from tritone_bench import engine
from tritone_bench.engine_cost import Ceilings, chunk_cost, cpu_ceilings
from tritone_bench.engine_rates import rates, summary
from tritone_bench.engine_run import read_batches
from tritone_bench.engine_trained import recordings, trained
from tritone_bench.engine_vector import ModuleNetwork
from tritone_bench.engine_verdict import complaints
from tritone_bench.errors import UsageError
from tritone_client.cli.main import main

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]


def test_the_cost_is_that_of_the_published_architecture():
    cost = chunk_cost(T_ONE.to_dict())
    assert cost.flop == pytest.approx(1287.74e6, rel=1e-5)  # counted by torch
    assert cost.state_bytes == pytest.approx(0.556e6, rel=1e-3)
    assert cost.weight_bytes == pytest.approx(143.4e6, rel=4e-3)  # norms and biases are left out


def test_latencies_are_means_of_runs_and_rates_their_inverse():
    found = summary([0.001, 0.003, 0.002, 0.006, 0.5], 2)
    assert found["steps"] == 4
    assert (found["mean_ms"], found["min_ms"], found["max_ms"], found["p50_ms"]) == pytest.approx((3, 2, 4, 3))
    cost = chunk_cost(T_ONE.to_dict())
    rate = rates(1024, 0.004, cost, Ceilings(800, 4300, "test"))
    assert rate["chunks_per_s"] == pytest.approx(256_000)
    assert rate["sps"] == pytest.approx(76_800)
    assert rate["tflops"] == pytest.approx(329.66, rel=1e-3)
    assert rate["tflops_share"] == pytest.approx(0.412, rel=1e-2)
    assert rate["least_gbs"] == pytest.approx((1024 * cost.state_bytes + cost.weight_bytes) / 0.004e9)
    assert cpu_ceilings(0.05).tflops > 0


def test_the_cpu_engine_is_timed_and_stored(tmp_path, capsys):
    options = [
        "--engine",
        "onnxruntime",
        "--batches",
        "2,1",
        "--duration",
        "0.2",
        "--warm-up",
        "0",
        "--iterations",
        "4",
    ]
    assert main(["bench", "engine", *options, "--avg-runs", "2", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "SPS" in printed
    result = json.loads((tmp_path / "engine.json").read_text(encoding="utf-8"))
    assert [row["batch"] for row in result["rows"]] == [1, 2]
    for row in result["rows"]:
        step = row["step"]
        assert step["steps"] >= 4
        assert step["steps"] % 2 == 0
        assert step["min_ms"] <= step["p50_ms"] <= step["p99_ms"] <= step["max_ms"]
        assert step["chunks_per_s"] == pytest.approx(1e3 * row["batch"] / step["mean_ms"])
        assert 0 < step["tflops_share"] < 10
    assert result["timing"]["avg_runs"] == 2
    for name in ("rate.svg", "latency.svg"):
        assert (tmp_path / name).read_text(encoding="utf-8").startswith("<svg xmlns=")


@pytest.mark.parametrize("text", ["", "0", "1,x", "70000"])
def test_batches_that_make_no_sense(text):
    with pytest.raises(UsageError, match="--batches"):
        read_batches(text)


def test_options_that_make_no_sense(capsys):
    assert main(["bench", "engine", "--avg-runs", "0"]) == 2
    assert main(["bench", "engine", "--engine", "onnxruntime", "--batches", "4", "--slots", "2"]) == 2
    assert "--slots 2 is less than the largest batch, 4" in capsys.readouterr().err


def test_recordings_fill_every_stream_from_another_place():
    signal = recordings(ROOT / "tests" / "audio", 3, 2, 2400)
    assert signal.shape == (2, 3, 2400)
    assert signal.any(axis=(0, 2)).all()
    assert not np.array_equal(signal[:, 0], signal[:, 1])
    with pytest.raises(FileNotFoundError):
        recordings(ROOT / "docs", 1, 1, 2400)


def test_trained_weights_agree_with_themselves():
    found = trained(find_model("default"), ROOT / "tests" / "audio", device="cpu", streams=8, chunks=4)
    assert found["frames"] == 8 * 4 * 10
    assert found["speech_frames"] > 10
    assert found["argmax_equal"] == 1
    assert found["max_error"] == 0
    assert complaints("trained", found) == []


def test_what_a_measurement_must_not_find():
    good = {"max_error": 6.4e-3, "argmax_equal": 1.0, "independence": {"batch_8": 0.0}}
    assert complaints("parity", good) == complaints("vector", good) == []
    assert "2.00e-02 away from float32" in complaints("parity", good | {"max_error": 0.02})[0]
    assert complaints("parity", good | {"max_error": float("nan")})
    assert "98.00%" in complaints("parity", good | {"argmax_equal": 0.98})[0]
    assert complaints("trained", {"argmax_equal": 0.998, "batch_change": 0.0})
    assert complaints("trained", {"argmax_equal": 1.0, "batch_change": 0.02})
    assert complaints("independence", {"batch_8": 0.0, "batch_64": 0.1}) == complaints(
        "vector", good | {"independence": {"batch_64": 0.1}}
    )
    assert complaints("kernels", {"gate": {"work.gated": float("inf")}, "close": {}})
    assert complaints("ladder", {}) == []


def _section(tmp_path, monkeypatch, result):
    monkeypatch.setattr(engine, "t_one_weights", lambda *paths: {})
    monkeypatch.setattr(engine.engine_checks, "parity", lambda *args, **options: result)
    args = SimpleNamespace(
        out=tmp_path, parity=tmp_path, weights_cache=None, device="cpu", seconds=60.0, sections="parity", batch=1
    )
    return engine.run(args)


def test_bad_parity_is_a_failure(tmp_path, monkeypatch, capsys):
    assert _section(tmp_path, monkeypatch, {"max_error": 5e-3, "argmax_equal": 1.0}) == 0
    assert _section(tmp_path, monkeypatch, {"max_error": 5e-2, "argmax_equal": 1.0}) == 1
    assert "FAILED parity" in capsys.readouterr().out


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (1, 1)])
def test_the_script_fails_when_a_group_does(tmp_path, status, expected):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho measured "$@"\nexit {status}\n', encoding="utf-8")
    python.chmod(0o755)
    environment = os.environ | {"PYTHON": str(python), "OUT": str(tmp_path / "out")}
    bash = shutil.which("bash")
    done = subprocess.run([bash, ROOT / "bench" / "run_gpu.sh", "check", "speed"], env=environment, capture_output=True)
    assert done.returncode == expected
    assert done.stdout.count(b"== ") == 2
    unknown = subprocess.run([bash, ROOT / "bench" / "run_gpu.sh", "chekc"], env=environment, capture_output=True)
    assert unknown.returncode == 1


def test_the_stand_in_for_tensorrt_reads_and_writes_the_bound_memory():
    class Module:
        def step(self, signal, state):
            return signal.float().sum() + torch.zeros(len(signal), 2), state + 1

    work = SimpleNamespace(
        signal=torch.ones(3, 4), state=torch.ones(3, 5), logprobs=torch.zeros(3, 2), state_next=torch.zeros(3, 5)
    )
    ModuleNetwork(Module(), work).enqueue(2)
    assert work.logprobs.tolist() == [[8, 8], [8, 8], [0, 0]]
    assert work.state_next[:, 0].tolist() == [2, 2, 0]
