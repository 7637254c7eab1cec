"""Log-probs of a stream are what they are alone, whatever batch, slot, order or neighbour it has, and whatever was left
in its slot: freed slots, and those that nobody had yet, are NaN all the time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritone_backend.engines import create_engine
from tritone_backend.errors import EngineError
from tritone_backend.models.registry import find_model

from tests.engines.poison import poison

SLOTS, STREAMS, CHUNKS = 4, 9, 3
FEW = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Setup:
    """An engine, the audio of some streams, and what each is alone.

    Args:
        engine: allocated here.
        chunk: samples of a chunk.
        tolerance: how far results may be from those alone; 0: not at all.
    """

    def __init__(self, engine, chunk: int, tolerance: float) -> None:
        self.engine, self.tolerance = engine, tolerance
        engine.allocate(SLOTS)
        rng = np.random.default_rng(11)
        loudness = rng.uniform(100, 6000, (STREAMS, 1, 1))
        self.audio = (rng.standard_normal((STREAMS, CHUNKS, chunk)) * loudness).clip(-32768, 32767).astype(np.int16)
        self.alone = np.stack([self.listen(stream) for stream in range(STREAMS)])
        assert np.isfinite(self.alone).all()
        assert np.abs(self.alone[0] - self.alone[1]).max() > 0.01, "streams must differ to tell them apart"

    def listen(self, stream: int) -> np.ndarray:
        slot = np.zeros(1, np.int32)
        return np.concatenate(
            [self.engine.step(self.audio[stream, n : n + 1], slot, np.array([n == 0])).copy() for n in range(CHUNKS)]
        )

    def same(self, stream: int, chunk: int, row: np.ndarray) -> None:
        expected = self.alone[stream, chunk]
        assert np.isfinite(row).all(), f"stream {stream}, chunk {chunk}: somebody's leavings"
        assert np.abs(row - expected).max() <= self.tolerance, f"stream {stream}, chunk {chunk}"

    def play(self, seed: int, *, fail: bool = False) -> None:
        """All streams through fewer slots, in random company; a failed step costs its own streams their slots."""
        rng = np.random.default_rng(seed)
        waiting, free, live = list(rng.permutation(STREAMS)), list(rng.permutation(SLOTS)), {}
        poison(self.engine, range(SLOTS))
        steps = 0
        while waiting or live:
            while waiting and free and (rng.random() < 0.7 or not live):
                live[int(waiting.pop())] = [int(free.pop()), 0]
            batch = [stream for stream in rng.permutation(list(live)).tolist() if rng.random() < 0.7]
            if not batch:
                continue
            steps += 1
            assert steps < 500
            slots = np.array([live[stream][0] for stream in batch], np.int32)
            heard = [live[stream][1] for stream in batch]
            signal = np.stack([self.audio[stream, n] for stream, n in zip(batch, heard, strict=True)])
            if fail and rng.random() < 0.2:  # the step broke: what it left in these slots is anything
                poison(self.engine, slots.tolist())
                for stream in batch:
                    free.append(live.pop(stream)[0])
                    waiting.insert(0, stream)  # its client replays it
                continue
            rows = self.engine.step(signal, slots, np.array(heard) == 0)
            for row, stream, n in zip(rows, batch, heard, strict=True):
                self.same(stream, n, row)
                live[stream][1] += 1
                if live[stream][1] == CHUNKS or rng.random() < 0.1:  # ended, or its client vanished
                    slot = live.pop(stream)[0]
                    poison(self.engine, [slot])
                    free.append(slot)


@pytest.fixture(scope="module")
def cpu() -> Setup:
    engine, _ = create_engine("onnxruntime", find_model("default"), threads=2)
    return Setup(engine, 2400, 0.0)


@pytest.mark.unit
@FEW
@given(seed=st.integers(0, 10**6))
def test_onnxruntime_shows_nobody_what_another_left(cpu, seed):
    cpu.play(seed)


@pytest.mark.unit
def test_poison_in_a_live_slot_is_seen(cpu):
    """Else the tests here could not fail."""
    cpu.engine.step(cpu.audio[:1, 0], np.zeros(1, np.int32), np.ones(1, bool))
    poison(cpu.engine, [0])
    row = cpu.engine.step(cpu.audio[:1, 1], np.zeros(1, np.int32), np.zeros(1, bool))[0]
    with pytest.raises(AssertionError, match="leavings"):
        cpu.same(0, 1, row)


@pytest.mark.unit
@FEW
@given(seed=st.integers(0, 10**6))
def test_onnxruntime_streams_outlive_failed_steps_of_others(cpu, seed):
    cpu.play(seed, fail=True)


@pytest.mark.unit
def test_a_step_that_fails_changes_no_state(cpu, monkeypatch):
    """The engine itself: an error in the network leaves every slot of the batch as it was."""
    poison(cpu.engine, range(SLOTS))
    slots = np.arange(2, dtype=np.int32)
    cpu.engine.step(cpu.audio[:2, 0], slots, np.ones(2, bool))
    with monkeypatch.context() as broken:
        for lane in cpu.engine.lanes:
            broken.setattr(lane, "_session", None)
        with pytest.raises(EngineError, match="failed on a batch of 1"):
            cpu.engine.step(cpu.audio[:2, 1], slots, np.zeros(2, bool))
    rows = cpu.engine.step(cpu.audio[:2, 1], slots, np.zeros(2, bool))
    for stream in range(2):
        cpu.same(stream, 1, rows[stream])


def torch_setup(folder, name: str, device: str) -> Setup:
    """A small network with random weights on the torch engine."""
    from tritone_backend.engines.torch_gpu import TorchEngine

    from tests.backend.torch_gpu.conftest import SMALL, random_network, spec_of

    model = random_network(SMALL[name])
    engine = TorchEngine(spec_of(model.config, folder), device=device, ladder=(1, 4, 8), weights=model.state_dict())
    return Setup(engine, model.config.chunk_samples, 2e-5 if device == "cpu" else 2e-2)


@pytest.fixture(scope="module", params=["narrow", "head-below-rope", "no-late-blocks"])
def plain(request, tmp_path_factory) -> Setup:
    pytest.importorskip("torch")
    return torch_setup(tmp_path_factory.mktemp("torch"), request.param, "cpu")


@pytest.mark.unit
@FEW
@given(seed=st.integers(0, 10**6))
def test_torch_on_the_cpu_shows_nobody_what_another_left(plain, seed):
    plain.play(seed)


@pytest.mark.unit
@FEW
@given(seed=st.integers(0, 10**6))
def test_torch_on_the_cpu_outlives_failed_steps_of_others(plain, seed):
    plain.play(seed, fail=True)


@pytest.mark.unit
def test_poison_in_a_live_slot_of_the_torch_engine_is_seen(plain):
    plain.engine.step(plain.audio[:1, 0], np.zeros(1, np.int32), np.ones(1, bool))
    pool = plain.engine.network.ops.pool
    for tensor in (pool.mel, pool.convolution, pool.reduction, *pool.attention.values()):
        tensor[0] = float("nan")  # the floats alone: counts still say that they are valid
    row = plain.engine.step(plain.audio[:1, 1], np.zeros(1, np.int32), np.zeros(1, bool))[0]
    with pytest.raises(AssertionError, match="leavings"):
        plain.same(0, 1, row)


@pytest.mark.unit
def test_torch_padding_rows_bring_nothing_from_the_scratch_slot(plain):
    poison(plain.engine, range(SLOTS + 1))
    rows = plain.engine.step(plain.audio[:3, 0], np.arange(3, dtype=np.int32), np.ones(3, bool))
    for stream in range(3):
        plain.same(stream, 0, rows[stream])


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["narrow", "no-late-blocks"])
def test_torch_kernels_show_nobody_what_another_left(tmp_path, name):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    setup = torch_setup(tmp_path, name, "cuda")
    for seed in range(20):
        setup.play(seed, fail=seed % 2 == 1)
    poison(setup.engine, range(SLOTS + 1))
    rows = setup.engine.step(setup.audio[:3, 0], np.arange(3, dtype=np.int32), np.ones(3, bool))
    for stream in range(3):
        setup.same(stream, 0, rows[stream])
