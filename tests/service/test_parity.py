"""The public network's reference weights, exported, served and streamed through Triton."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from tritone_backend.serve import running_server

from tests.service.raw import Raw, new_id

pytestmark = [pytest.mark.triton, pytest.mark.slow]

PARITY = Path(__file__).resolve().parents[1] / "fixtures" / "parity"


@pytest.fixture(scope="module")
def reference_model(tmp_path_factory) -> Path:
    """A model folder of T-one's size, exported from the weights that the reference was computed with."""
    torch = pytest.importorskip("torch", reason="exporting needs PyTorch")
    from tritone_client.cli.main import main

    from tests.fixtures.parity.fill import fill

    folder = tmp_path_factory.mktemp("parity")
    rows = (PARITY / "t_one_parameters.tsv").read_text(encoding="utf-8").splitlines()[1:]
    weights = {}
    for row in rows:
        name, shape, kind = row.split("\t")
        sizes = tuple(int(size) for size in shape.split("x")) if shape != "scalar" else ()
        weights["tone." + name] = torch.from_numpy(np.asarray(fill(name, sizes))).to(getattr(torch, kind))
    torch.save({"state_dict": weights}, folder / "reference.pt")
    assert main(["model", "export", str(folder / "reference.pt"), str(folder / "model")]) == 0
    (folder / "reference.pt").unlink()
    return folder / "model"


async def test_log_probs_of_8_chunks_through_triton(reference_model):
    reference = np.load(PARITY / "t_one_reference.npz")
    signal, expected = reference["signal"], reference["logprobs"]
    with running_server(model=reference_model, max_streams=4, admission="slots") as server:
        async with Raw(server.address) as raw:
            streams = [new_id() for _ in range(signal.shape[1])]
            worst = 0.0
            for index, chunk in enumerate(signal):
                rows = await asyncio.gather(
                    *(
                        raw.chunk(stream, samples, start=index == 0, end=index == len(signal) - 1)
                        for stream, samples in zip(streams, chunk, strict=True)
                    )
                )
                assert np.array_equal(np.argmax(rows, -1), expected[index].argmax(-1))
                worst = max(worst, float(np.abs(np.array(rows) - expected[index]).max()))
    print(f"largest difference from the reference: {worst:.2e}")
    assert worst <= 1e-2
