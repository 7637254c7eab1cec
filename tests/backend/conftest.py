"""A small spec with T-one's sizes, for tests that need no weights."""

from pathlib import Path

import pytest
from tritone_backend.spec import AcousticSpec

LABELS = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя "


@pytest.fixture(scope="session")
def spec() -> AcousticSpec:
    return AcousticSpec(
        name="test",
        onnx=Path("model.onnx"),
        sample_rate=8000,
        chunk_samples=2400,
        padding_samples=2400,
        frame_seconds=0.03,
        frames_per_chunk=10,
        labels=LABELS,
        blank=34,
        time_bias_seconds=0.33,
        state_size=4,
    )
