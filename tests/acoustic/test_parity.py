"""The network against the public T-one: names, shapes and outputs, within the tolerances of the fixture."""

import numpy as np
import pytest
import torch
from tritone_acoustic.config import T_ONE
from tritone_acoustic.features import mel_filterbank

from .conftest import PARITY

pytestmark = pytest.mark.unit


def test_names_shapes_and_dtypes_are_the_public_ones(t_one):
    rows = (PARITY / "t_one_parameters.tsv").read_text().splitlines()[1:]
    public = {name: (shape, dtype) for name, shape, dtype in (row.split("\t") for row in rows)}
    ours = {
        name: ("x".join(map(str, value.shape)) or "scalar", str(value.dtype).removeprefix("torch."))
        for name, value in t_one.state_dict().items()
    }
    assert ours == public
    assert len(ours) == 567


def test_mel_filterbank(reference):
    np.testing.assert_allclose(mel_filterbank(), reference["mel_filterbank"], atol=1e-7)


def test_state_size():
    assert T_ONE.state_size == 219_729
    assert T_ONE.state_offsets["subsampling2"] == (208_081, 219_345)


def test_streaming(t_one, reference):
    state = t_one.initial_state(2)
    outputs = []
    with torch.inference_mode():
        for index, chunk in enumerate(reference["signal"]):
            logprobs, state = t_one.step(torch.from_numpy(chunk), state)
            outputs.append(logprobs.numpy())
            if index == 0:
                _assert_state(state, reference["state_first"])
    assert state.dtype == torch.float16
    _assert_state(state, reference["state_last"])
    error = np.abs(np.stack(outputs) - reference["logprobs"])
    assert error[0].max() <= 1e-5
    assert error.max() <= 3e-4


def _assert_state(state: torch.Tensor, expected: np.ndarray) -> None:
    state_array = state.numpy().astype(np.float32)
    assert np.array_equal(state_array[:, 0], expected[:, 0].astype(np.float32))
    np.testing.assert_allclose(state_array, expected.astype(np.float32), atol=4e-3, rtol=0)


def test_offline(t_one, reference):
    waveform = torch.from_numpy(reference["offline_signal"].astype(np.float32) / 32767)
    lengths = torch.from_numpy(reference["offline_lengths"].astype(np.int64))
    with torch.inference_mode():
        logprobs, encoded = t_one(waveform, lengths)
    assert encoded.tolist() == reference["offline_encoded_lengths"].tolist()
    for row, expected, valid in zip(logprobs.numpy(), reference["offline_logprobs"], encoded.tolist(), strict=True):
        np.testing.assert_allclose(row[:valid], expected[:valid], atol=1e-4, rtol=0)
