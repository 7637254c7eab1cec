"""Small networks with fixed weights, the float32 reference they are compared with, and speech-like samples."""

import numpy as np
import pytest
import torch
from tritone_acoustic.config import AcousticConfig
from tritone_acoustic.network import AcousticModel
from tritone_backend.spec import AcousticSpec

SMALL = {
    "narrow": AcousticConfig(
        d_model=48, n_layers=6, n_heads=2, ff_dim=96, reduction_after=2, upsample_after=4, subsampling_channels=(4, 6)
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
        d_model=40, n_layers=5, n_heads=1, ff_dim=64, reduction_after=1, upsample_after=4, subsampling_channels=(3, 5)
    ),
}


@pytest.fixture(scope="session", autouse=True)
def _two_threads():
    torch.set_num_threads(2)


@pytest.fixture(params=sorted(SMALL))
def small(request) -> AcousticModel:
    return random_network(SMALL[request.param])


def random_network(config: AcousticConfig) -> AcousticModel:
    """A network whose every parameter and running statistic is random, at a scale that keeps activations alive."""
    torch.manual_seed(7)
    model = AcousticModel(config)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.8, 1.3)
            elif value.is_floating_point() and value.dim() < 2:
                value.normal_(1.0 if name.endswith("weight") else 0.0, 0.1)
            elif value.is_floating_point():
                value.normal_(0.0, (value[0].numel()) ** -0.5)
    return model.eval()


def spec_of(config: AcousticConfig, folder) -> AcousticSpec:
    (folder / "model.toml").write_text(
        "[architecture]\n"
        + "".join(f"{name} = {value}\n" for name, value in config.to_dict().items() if name != "dropout")
    )
    return AcousticSpec(
        name="test",
        onnx=folder / "model.onnx",
        sample_rate=8000,
        chunk_samples=config.chunk_samples,
        padding_samples=config.chunk_samples,
        frame_seconds=0.03,
        frames_per_chunk=config.chunk_frames,
        labels="абвгдеёжзийклмнопрстуфхцчшщъыьэюя "[-(config.n_classes - 1) :],
        blank=config.n_classes - 1,
        time_bias_seconds=0.33,
        state_size=config.state_size,
    )


def samples(rng: np.random.Generator, streams: int, count: int) -> np.ndarray:
    """int16 [streams, count]: harmonics under an envelope, with noise."""
    time = np.arange(count) / 8000
    pitch = rng.uniform(90, 220, (streams, 1))
    voice = sum(np.sin(2 * np.pi * k * pitch * time + k) / k for k in range(1, 8))
    envelope = np.clip(np.sin(2 * np.pi * rng.uniform(1, 4, (streams, 1)) * time), 0, 1)
    return (2500 * voice * envelope + 40 * rng.standard_normal((streams, count))).astype(np.int16)
