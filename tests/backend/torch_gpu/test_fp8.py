"""The 8-bit option: rounding within its bound, near the exact engine, off unless asked for."""

import numpy as np
import pytest
import torch
from tritone_backend.engines.torch_gpu import TorchEngine
from tritone_backend.engines.torch_gpu.fp8 import LARGEST, Fp8Matrix

from .conftest import SMALL, random_network, samples, spec_of

pytestmark = pytest.mark.unit


def test_a_matrix_is_rounded_to_four_bits_of_mantissa():
    exact = torch.randn(48, 64, generator=torch.Generator().manual_seed(1)) * 3
    rounded = Fp8Matrix.round(exact)
    back = rounded.values.float() * rounded.scale
    normal = exact.abs() > rounded.scale * 2.0**-6
    assert float(((back - exact).abs() / exact.abs())[normal].max()) <= 2.0**-4
    assert float(rounded.values.float().abs().max()) == LARGEST
    assert rounded.values.stride() == (1, 48)  # columns are contiguous
    x = torch.randn(5, 48).to(torch.float8_e4m3fn)
    out = torch.zeros(5, 64)
    rounded.product(x, out)
    assert torch.allclose(out, x.float() @ back, rtol=1e-5, atol=1e-5)


def test_the_option_changes_little_and_only_when_asked_for(tmp_path, monkeypatch):
    model = random_network(SMALL["narrow"])
    signal = samples(np.random.default_rng(1), 4, model.config.chunk_samples)
    slots, fresh = np.arange(4, dtype=np.int32), np.ones(4, bool)

    def logprobs(**options):
        engine = TorchEngine(
            spec_of(model.config, tmp_path), device="cpu", ladder=(4,), weights=model.state_dict(), **options
        )
        engine.allocate(4)
        return engine.step(signal, slots, fresh).copy()

    exact, rounded = logprobs(), logprobs(fp8=True)
    difference = np.abs(exact - rounded)
    assert 1e-4 < difference.max() < 1.0
    assert np.array_equal(logprobs(fp8=False), exact)
    monkeypatch.setenv("TRITONE_FP8", "1")
    assert np.array_equal(logprobs(), rounded)
