"""Parity fixture of the public T-one network, and small networks for quick tests."""

import importlib.util
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from tritone_acoustic.config import T_ONE, AcousticConfig
from tritone_acoustic.network import AcousticModel

PARITY = Path(__file__).parent.parent / "fixtures" / "parity"


def _load_fill() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("tritone_parity_fill", PARITY / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fill = _load_fill().fill


def fill_weights(model: AcousticModel) -> AcousticModel:
    """Give every parameter and buffer its reference value."""
    weights = {
        name: torch.from_numpy(np.asarray(fill(name, tuple(value.shape)))).to(value.dtype)
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(weights)
    return model.eval()


@pytest.fixture(scope="session", autouse=True)
def _two_threads():
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def t_one() -> AcousticModel:
    return fill_weights(AcousticModel(T_ONE))


@pytest.fixture(scope="session")
def reference() -> dict[str, np.ndarray]:
    with np.load(PARITY / "t_one_reference.npz") as arrays:
        return dict(arrays)


SMALL_CONFIGS = {
    "narrow": AcousticConfig(
        d_model=48,
        n_layers=7,
        n_heads=2,
        ff_dim=96,
        reduction_after=2,
        upsample_after=5,
        subsampling_channels=(4, 6),
    ),
    "head-below-rope": AcousticConfig(
        d_model=32,
        n_layers=4,
        n_heads=2,
        ff_dim=64,
        conv_kernel=15,
        reduction_after=0,
        upsample_after=1,
        subsampling_channels=(4, 4),
        n_mels=40,
        n_classes=20,
    ),
    "no-late-blocks": AcousticConfig(
        d_model=40,
        n_layers=5,
        n_heads=1,
        ff_dim=64,
        reduction_after=1,
        upsample_after=4,
        subsampling_channels=(3, 5),
    ),
}


@pytest.fixture(params=sorted(SMALL_CONFIGS))
def small_config(request) -> AcousticConfig:
    return SMALL_CONFIGS[request.param]


def speech_like(rng: np.random.Generator, streams: int, samples: int) -> np.ndarray:
    """Return int16 [streams, samples]: harmonics under a slow envelope, with noise and pauses."""
    time = np.arange(samples) / 8000
    out = np.empty((streams, samples))
    for stream in range(streams):
        pitch = 2 * np.pi * np.cumsum(rng.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * 3 * time))) / 8000
        voice = sum(np.sin(k * pitch + rng.uniform(0, 6)) / k for k in range(1, 12))
        envelope = np.clip(np.sin(2 * np.pi * rng.uniform(1, 4) * time + rng.uniform(0, 6)), 0, 1)
        out[stream] = 3000 * voice * envelope + 30 * rng.standard_normal(samples)
    return np.clip(out, -32768, 32767).astype(np.int16)
