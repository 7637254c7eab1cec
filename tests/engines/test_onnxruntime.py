"""The CPU engine with the default model: bit-identical results in every company, and clear refusals."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritone_backend.engines import create_engine
from tritone_backend.errors import EngineError, ModelError
from tritone_backend.models.registry import find_model

pytestmark = pytest.mark.unit

STREAMS, CHUNKS = 9, 3


@pytest.fixture(scope="module")
def engine():
    made, reason = create_engine("onnxruntime", find_model("default"), threads=2)
    assert reason.startswith("onnxruntime")
    made.allocate(64)
    return made


@pytest.fixture(scope="module")
def signal() -> np.ndarray:
    """int16 [chunk, stream, 2400]: noise of changing loudness."""
    rng = np.random.default_rng(5)
    loudness = rng.uniform(0, 6000, (CHUNKS, STREAMS, 1))
    return (rng.standard_normal((CHUNKS, STREAMS, 2400)) * loudness).clip(-32768, 32767).astype(np.int16)


@pytest.fixture(scope="module")
def alone(engine, signal) -> np.ndarray:
    """Log-probs of every stream with the engine to itself: float32 [chunk, stream, 10, 35]."""
    rows = np.zeros((CHUNKS, STREAMS, 10, 35), np.float32)
    for stream in range(STREAMS):
        for chunk in range(CHUNKS):
            slot = np.array([0], np.int32)
            rows[chunk, stream] = engine.step(signal[chunk, stream : stream + 1], slot, np.array([chunk == 0]))[0]
    return rows


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_results_are_bit_identical_in_any_batch_order_and_slot(engine, signal, alone, seed):
    rng = np.random.default_rng(seed)
    slots = rng.permutation(64)[:STREAMS].astype(np.int32)
    heard = np.zeros(STREAMS, int)
    while (heard < CHUNKS).any():
        ready = np.flatnonzero(heard < CHUNKS)
        batch = rng.permutation(ready)[: rng.integers(1, len(ready) + 1)]
        chunks = np.stack([signal[heard[stream], stream] for stream in batch])
        got = engine.step(chunks, slots[batch], heard[batch] == 0)
        for row, stream in enumerate(batch):
            assert np.array_equal(got[row], alone[heard[stream], stream])
        heard[batch] += 1


def test_rows_are_probabilities(alone):
    assert np.allclose(np.exp(alone).sum(axis=-1), 1, atol=1e-4)


def test_more_slots_than_memory_names_the_number_that_fits(engine):
    with pytest.raises(EngineError, match=r"at most \d+ fit, use --max-streams \d+ or fewer"):
        engine.allocate(10**9)


@pytest.fixture
def copy(tmp_path) -> Path:
    return Path(shutil.copytree(find_model("default"), tmp_path / "copy"))


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda folder: (folder / "model.onnx").unlink(), "model.onnx is missing"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"no graph"), "not a graph that ONNX Runtime can load"),
        (lambda folder: (folder / "model.toml").unlink(), "has no model.toml"),
        (lambda folder: (folder / "model.toml").write_text("["), "not valid TOML"),
        (lambda folder: edit(folder, "size = 87185", "size = 219729"), "do not belong together"),
        (lambda folder: edit(folder, "blank = 34", "blank = 3"), "blank must be the last class"),
        (lambda folder: edit(folder, "frames_per_chunk = 10", 'frames_per_chunk = "10"'), "wrong type"),
        (lambda folder: edit(folder, "chunk_samples = 2400", "chunk_samples = 1200"), "not the length of a chunk"),
    ],
)
def test_a_model_folder_that_does_not_fit_together(copy, damage, match):
    damage(copy)
    with pytest.raises(ModelError, match=match) as caught:
        create_engine("onnxruntime", copy, threads=1)
    assert "\n" not in caught.value.user_message


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "model.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
