"""The GPU kernels against plain PyTorch: on a GPU if there is one, else through Triton's interpreter."""

import os

import numpy as np
import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when triton is imported, so it comes first
pytest.importorskip("triton")

from tritone_backend.engines.torch_gpu import TorchEngine

from .conftest import SMALL, random_network, samples, spec_of

pytestmark = [pytest.mark.unit, pytest.mark.slow]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", sorted(SMALL))
def test_kernels_agree_with_plain_steps(name, dtype, tmp_path):
    """Four chunks: the rings wrap at the full rate, and one stream starts late in a slot that was used before."""
    model = random_network(SMALL[name])
    engines = []
    for plain in (True, False):
        engine = TorchEngine(
            spec_of(model.config, tmp_path),
            device=DEVICE,
            ladder=(1, 4),
            dtype=dtype,
            plain=plain,
            weights=model.state_dict(),
        )
        engine.allocate(5)
        engines.append(engine)
    rng = np.random.default_rng(8)
    signal = samples(rng, 2, model.config.chunk_samples * 4)
    slots = np.array([4, 1], np.int32)
    tolerance = 1e-4 if dtype == torch.float32 else 2e-2
    for chunk in range(4):
        part = signal[:, chunk * model.config.chunk_samples : (chunk + 1) * model.config.chunk_samples]
        fresh = np.array([chunk == 0, chunk in (0, 2)])
        expected, got = (engine.step(part, slots, fresh) for engine in engines)
        np.testing.assert_allclose(got, expected, atol=tolerance, rtol=0)
        assert np.isfinite(got).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("add", [False, True])
def test_own_products_are_right_and_the_same_for_any_number_of_rows(dtype, add, tmp_path):
    from tritone_backend.engines.torch_gpu.kernels.products import Products

    model = random_network(SMALL["narrow"])
    engine = TorchEngine(spec_of(model.config, tmp_path), device=DEVICE, dtype=dtype, weights=model.state_dict())
    products = Products(engine.arch, engine.packed, (1, 4), always_own=True)
    block = engine.packed.blocks[0]
    matrix = block.down[0] if add else block.up[0]
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(90, matrix.shape[0], generator=generator).to(DEVICE, dtype)
    before = torch.randn(90, matrix.shape[1], generator=generator).to(DEVICE, dtype)
    expected = x.double() @ matrix.double() + (before.double() if add else 0)
    results = []
    for rows in (90, 65, 7, 1):
        out = before[:rows].clone()
        products.run(x[:rows], matrix, out, add=add)
        results.append(out)
    np.testing.assert_allclose(
        results[0].double().cpu(), expected.cpu(), atol=1e-5 if dtype == torch.float32 else 4e-3, rtol=2e-3
    )
    for result in results[1:]:
        assert torch.equal(result, results[0][: len(result)])
