"""Fixtures of the bench's tests."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tritone_bench.calls import CHUNK_SAMPLES, Call, make_calls

from tests.bench.fake_service import Running, fake_service


@pytest.fixture
def fake() -> Iterator[Running]:
    with fake_service() as running:
        yield running


@pytest.fixture
def spoken() -> list[Call]:
    """Three short calls of noise."""
    draw = np.random.default_rng(5)
    clips = [(f"clip{n}", draw.integers(-9000, 9000, CHUNK_SAMPLES * 3).astype(np.int16)) for n in range(3)]
    return make_calls(clips, count=3, seconds=2.4, pauses=True)
