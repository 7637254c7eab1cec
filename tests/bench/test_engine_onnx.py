"""The race of CPU graphs: every contender in every round, ratios within a round, the public form on a small network."""

import numpy as np
import onnxruntime as ort
import pytest
import torch
from tritone_bench.engine_onnx import summarise
from tritone_bench.public_graph import PublicStep, write_public_graph

from tests.backend.torch_gpu.conftest import SMALL, random_network, samples

pytestmark = pytest.mark.unit


def test_ratios_are_taken_within_a_round():
    rounds = [
        {"a: chunks/s": a, "b: chunks/s": b, "a: CPU ms/chunk": 1.0, "b: CPU ms/chunk": 2.0}
        for a, b in ((10, 20), (100, 400), (50, 150))
    ]
    found = summarise(rounds, "b", "a")
    assert (found["ratio"], found["ratio_least"], found["ratio_most"]) == (3, 2, 4)
    assert (found["chunks_per_s"], found["least"], found["most"], found["cpu_ms"]) == (150, 20, 400, 2)
    assert summarise(rounds, "a", "a")["ratio"] == 1


def test_the_public_form_computes_the_same_network_in_float16(tmp_path):
    model = random_network(SMALL["narrow"])
    config = model.config
    write_public_graph(config, model.state_dict(), tmp_path / "public.onnx")
    session = ort.InferenceSession(tmp_path / "public.onnx", providers=["CPUExecutionProvider"])
    signal = samples(np.random.default_rng(0), 3, 4 * config.chunk_samples).astype(np.int32)
    state, exact = np.zeros((3, config.state_size), np.float16), model.initial_state(3, torch.float32)
    eager = PublicStep(config, model.state_dict())
    eager_state = torch.from_numpy(state)
    with torch.inference_mode():
        for start in range(0, signal.shape[1], config.chunk_samples):
            chunk = signal[:, start : start + config.chunk_samples]
            got, state = session.run(None, {"signal": chunk[:, :, None], "state": state})
            traced, eager_state = eager(torch.from_numpy(chunk[:, :, None]), eager_state)
            expected, exact = model.step(torch.from_numpy(chunk), exact)
            assert 1e-5 < np.abs(got - expected.numpy()).max() < 0.1
            assert np.abs(got - traced.numpy()).max() < 0.05
