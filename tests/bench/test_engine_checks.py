"""The GPU measurements' own checks, on a CPU: what they compare, what they must notice, what they time."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tritone_backend.engines.torch_gpu import TorchEngine
from tritone_bench.engine_checks import Compared, largest
from tritone_bench.engine_timing import HISTORY_CHUNKS, settle

from tests.backend.torch_gpu.conftest import SMALL, random_network, samples, spec_of

pytestmark = pytest.mark.unit
ROWS = 4


def _ops(wide: float = 0.0, gated: float = 0.0, stray: float = 0.0):
    """The plain half and a second one that does the same, but for what it adds to some memory."""
    tensors = {name: torch.zeros(ROWS, 2) for name in ("wide", "gated")}
    work, pool = SimpleNamespace(**tensors), SimpleNamespace(counts=torch.zeros(ROWS), attention={})

    def plain(out) -> None:
        work.wide.fill_(1.0)
        out.fill_(2.0)

    def kernel(out) -> None:
        work.wide.fill_(1.0 + wide)
        out.fill_(2.0 + gated)
        pool.counts.add_(stray)

    compared = Compared(SimpleNamespace(expand=kernel), SimpleNamespace(work=work, pool=pool, expand=plain))
    compared.expand(work.gated)
    return compared.found["expand"]


def test_scratch_that_the_fused_expansion_leaves_alone_is_no_difference():
    assert _ops(wide=6.4) == {}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"gated": 0.5}, {"work.gated": 0.5}),
        ({"gated": float("nan")}, {"work.gated": float("inf")}),
        ({"stray": 3.0}, {"pool.counts": 3.0}),
    ],
)
def test_a_wrong_output_and_a_stray_write_are_differences(options, found):
    assert _ops(**options) == found


def test_a_result_that_is_not_a_number_is_an_infinite_error():
    assert largest(np.array([0.1, np.nan])) == np.inf
    assert largest(np.array([0.1, 0.2])) == 0.2


def test_streams_are_timed_with_their_history_full(tmp_path):
    model = random_network(SMALL["narrow"])
    engine = TorchEngine(spec_of(model.config, tmp_path), device="cpu", ladder=(4,), weights=model.state_dict())
    engine.allocate(4)
    rows = np.array([2, 0, 3], np.int32)
    settle(engine, samples(np.random.default_rng(1), 3, model.config.chunk_samples), rows)
    for staging in engine.runner.staging:
        words = staging.inbox.view(torch.int32).numpy()
        assert words[:3, :2].tolist() == [[2, 0], [0, 0], [3, 0]]
    assert int(engine.network.work.row_count[:3].min()) >= HISTORY_CHUNKS
