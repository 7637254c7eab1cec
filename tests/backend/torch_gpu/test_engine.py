"""The torch engine on a CPU against the network it was rewritten from: pool, rings, new streams, padding, errors."""

import numpy as np
import pytest
import torch
from tritone_acoustic.config import T_ONE
from tritone_acoustic.network import AcousticModel
from tritone_backend.engines.choose import ENGINES, create_engine
from tritone_backend.engines.torch_gpu import TorchEngine
from tritone_backend.engines.torch_gpu.engine import LADDER
from tritone_backend.engines.torch_gpu.pool import SlotPool
from tritone_backend.errors import EngineError, ModelError

from .conftest import SMALL, random_network, samples, spec_of

pytestmark = pytest.mark.unit


def _engine(model: AcousticModel, folder, slots: int = 8, **options) -> TorchEngine:
    engine = TorchEngine(
        spec_of(model.config, folder), device="cpu", ladder=(4, 8), weights=model.state_dict(), **options
    )
    engine.allocate(slots)
    return engine


def _reference(model: AcousticModel, signal: np.ndarray) -> np.ndarray:
    """Log-probs [streams, chunks, frames, classes] of whole streams with an exact state."""
    state, out = model.initial_state(len(signal), torch.float32), []
    size = model.config.chunk_samples
    with torch.inference_mode():
        for start in range(0, signal.shape[1], size):
            logprobs, state = model.step(torch.from_numpy(signal[:, start : start + size]), state)
            out.append(logprobs.numpy())
    return np.stack(out, axis=1)


def test_streams_that_start_at_different_times_in_any_order_match_the_reference(small, tmp_path):
    rng = np.random.default_rng(3)
    size, chunks, streams = small.config.chunk_samples, 9, 5
    signal = samples(rng, streams, size * chunks)
    expected = _reference(small, signal)
    engine = _engine(small, tmp_path)
    slot = rng.permutation(8)[:streams]
    done = np.zeros(streams, int)
    worst, steps = 0.0, 0
    while (done < chunks).any():
        ready = [s for s in range(streams) if done[s] < chunks and (steps >= 3 * s) and rng.random() < 0.7]
        steps += 1
        if not ready:
            continue
        batch = rng.permutation(ready)
        chunk = np.stack([signal[s, done[s] * size : (done[s] + 1) * size] for s in batch])
        got = engine.step(chunk, slot[batch].astype(np.int32), done[batch] == 0)
        assert got.shape == (len(batch), small.config.chunk_frames, small.config.n_classes)
        worst = max(worst, max(np.abs(got[row] - expected[s, done[s]]).max() for row, s in enumerate(batch)))
        done[batch] += 1
    assert worst <= 2e-5


def test_a_reused_slot_remembers_nothing(small, tmp_path):
    rng = np.random.default_rng(4)
    size = small.config.chunk_samples
    signal = samples(rng, 2, size * 6)
    expected = _reference(small, signal[1:])
    engine = _engine(small, tmp_path)
    slot = np.array([3], np.int32)
    for stream in (0, 1):
        for chunk in range(6):
            part = signal[stream : stream + 1, chunk * size : (chunk + 1) * size]
            got = engine.step(part, slot, np.array([chunk == 0]))
            if stream == 1:
                np.testing.assert_allclose(got, expected[:, chunk], atol=2e-5, rtol=0)


def test_int32_samples_and_batches_above_the_ladder(small, tmp_path):
    rng = np.random.default_rng(5)
    size, streams = small.config.chunk_samples, 11
    signal = samples(rng, streams, size * 2).astype(np.int32)
    expected = _reference(small, signal)
    engine = _engine(small, tmp_path, slots=streams)
    slots = np.arange(streams, dtype=np.int32)[::-1].copy()
    for chunk in range(2):
        got = engine.step(signal[:, chunk * size : (chunk + 1) * size], slots, np.full(streams, chunk == 0))
        np.testing.assert_allclose(got, expected[:, chunk], atol=2e-5, rtol=0)


def test_two_steps_under_way_do_not_overwrite_one_another(small, tmp_path):
    rng = np.random.default_rng(6)
    size = small.config.chunk_samples
    signal = samples(rng, 4, size)
    expected = _reference(small, signal)[:, 0]
    runner = _engine(small, tmp_path).runner
    first = runner.submit(signal[:3], np.array([0, 1, 2], np.int32), np.ones(3, bool))
    second = runner.submit(signal[3:], np.array([3], np.int32), np.ones(1, bool))
    np.testing.assert_allclose(runner.collect(first), expected[:3], atol=2e-5, rtol=0)
    np.testing.assert_allclose(runner.collect(second), expected[3:], atol=2e-5, rtol=0)


def test_rows_left_over_in_the_staging_area_go_to_the_scratch_slot(small, tmp_path):
    engine = _engine(small, tmp_path)
    size = small.config.chunk_samples
    big = np.zeros((4, size), np.int16)
    for _ in range(2):  # both staging areas
        engine.step(big, np.arange(4, dtype=np.int32), np.ones(4, bool))
    staging = engine.runner.staging[0]
    staging.fill(big[:1], np.array([2]), np.array([False]))
    words = staging.inbox.view(torch.int32).numpy()
    assert words[:4, 0].tolist() == [2, 8, 8, 8]
    assert words[:4, 1].tolist() == [0, 1, 1, 1]


@pytest.mark.slow
def test_the_public_architecture_matches_its_fixture(tmp_path):
    from tests.acoustic.conftest import PARITY, fill_weights

    with np.load(PARITY / "t_one_reference.npz") as arrays:
        signal, logprobs = arrays["signal"], arrays["logprobs"]
    model = fill_weights(AcousticModel(T_ONE))
    engine = _engine(model, tmp_path, slots=3)
    for index, (chunk, expected) in enumerate(zip(signal, logprobs, strict=True)):
        got = engine.step(chunk, np.array([2, 0], np.int32), np.full(2, index == 0))
        # The fixture rounds its state to float16 between chunks, this engine does not.
        np.testing.assert_allclose(got, expected, atol=1e-3, rtol=0)


def test_slot_bytes_are_what_the_pool_allocates(small, tmp_path):
    engine = _engine(small, tmp_path)
    pool = SlotPool.create(engine.arch, 4, "cpu", torch.float32)
    tensors = [getattr(pool, name) for name in ("counts", "tail", "mel", "image", "convolution", "reduction")]
    held = sum(t.numel() * t.element_size() for t in [*tensors, *pool.attention.values()])
    assert held == 5 * SlotPool.slot_bytes(engine.arch, torch.float32)


def test_too_many_slots_say_how_many_fit(small, tmp_path):
    engine = _engine(small, tmp_path)
    with pytest.raises(EngineError, match=r"at most \d+ fit, use --max-streams \d+ or fewer"):
        engine.allocate(10**9)


def test_sizes_are_read_off_the_weights(small):
    from tritone_backend.engines.torch_gpu.architecture import Architecture

    shapes = {name: tuple(value.shape) for name, value in small.state_dict().items()}
    arch = Architecture.from_weights(shapes, small.config.to_dict(), chunk_frames=small.config.chunk_frames)
    assert arch.state_size == small.config.state_size
    assert (arch.d_model, arch.n_heads, arch.rotary) == (
        small.config.d_model,
        small.config.n_heads,
        small.config.rotary,
    )


def test_contradicting_architecture_table(tmp_path):
    model = random_network(SMALL["narrow"])
    spec = spec_of(model.config, tmp_path)
    table = tmp_path / "model.toml"
    table.write_text(table.read_text().replace("d_model = 48", "d_model = 64"))
    with pytest.raises(ModelError, match="d_model = 64, the weights say 48"):
        TorchEngine(spec, device="cpu", weights=model.state_dict())


def test_a_missing_parameter_is_named(tmp_path):
    model = random_network(SMALL["narrow"])
    weights = model.state_dict()
    del weights["encoder.layers.3.norm_conv.weight"]
    with pytest.raises(ModelError, match=r"encoder\.layers\.3\.norm_conv\.weight"):
        TorchEngine(spec_of(model.config, tmp_path), device="cpu", weights=weights)


def test_a_step_before_allocate(tmp_path):
    model = random_network(SMALL["narrow"])
    engine = TorchEngine(spec_of(model.config, tmp_path), device="cpu", weights=model.state_dict())
    with pytest.raises(EngineError, match="allocate"):
        engine.step(np.zeros((1, 2400), np.int16), np.zeros(1, np.int32), np.ones(1, bool))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu_is_one_line(tmp_path):
    model = random_network(SMALL["narrow"])
    with pytest.raises(EngineError, match="needs an NVIDIA GPU") as caught:
        TorchEngine(spec_of(model.config, tmp_path), weights=model.state_dict())
    assert "\n" not in caught.value.user_message


def test_the_engine_is_on_the_list_and_unknown_ones_are_refused(tmp_path):
    assert "torch" in ENGINES
    assert list(LADDER) == sorted(set(LADDER))
    with pytest.raises(EngineError, match="onnxruntime, onnxruntime-int8, tensorrt, torch"):
        create_engine("tensorflow", tmp_path, threads=1)
