"""A real tritonserver with the default model, shared by the tests that do not harm it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tritone_backend.serve import running_server

from tests.service.guarded import Site, site_in

AUDIO = Path(__file__).resolve().parents[1] / "audio"


@pytest.fixture(scope="session")
def server():
    with running_server(max_streams=96, idle_timeout_s=20.0, admission="slots") as running:
        yield running


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture
def speech(recordings) -> bytes:
    return recordings["asterisk-ru-conf-invalid"].tobytes()


@pytest.fixture(scope="session")
def recordings() -> dict[str, np.ndarray]:
    """int16 samples at 8 kHz of every test recording."""
    found = {}
    for path in sorted(AUDIO.glob("*.wav")) + sorted(AUDIO.glob("*.flac")):
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == 8000
        found[path.stem] = samples
    return found


@pytest.fixture(scope="session")
def mixtures(recordings) -> list[np.ndarray]:
    """64 different calls of 3 to 12 s: recordings from different points on, at different levels."""
    rng = np.random.default_rng(64)
    whole = np.concatenate(list(recordings.values()))
    calls = []
    for _ in range(64):
        length = int(rng.integers(3 * 8000, 12 * 8000))
        begin = int(rng.integers(0, len(whole) - length))
        calls.append((whole[begin : begin + length] * rng.uniform(0.3, 1.0)).astype(np.int16))
    return calls
