"""Streaming against offline, padding, masks, half precision and compilation, on small networks."""

import numpy as np
import pytest
import torch
from tritone_acoustic.config import T_ONE, AcousticConfig
from tritone_acoustic.errors import AcousticError
from tritone_acoustic.network import AcousticModel

from .conftest import SMALL_CONFIGS, fill_weights, speech_like

pytestmark = pytest.mark.unit


def _stream(model: AcousticModel, signal: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    state = model.initial_state(len(signal), dtype)
    size = model.config.chunk_samples
    outputs = []
    with torch.inference_mode():
        for start in range(0, signal.shape[1], size):
            logprobs, state = model.step(torch.from_numpy(signal[:, start : start + size]), state)
            outputs.append(logprobs)
    return torch.cat(outputs, dim=1)


def _offline(model: AcousticModel, signal: np.ndarray, lengths: list[int]) -> tuple[torch.Tensor, list[int]]:
    with torch.inference_mode():
        logprobs, encoded = model(torch.from_numpy(signal.astype(np.float32) / 32767), torch.tensor(lengths))
    return logprobs, encoded.tolist()


# A narrow network averages the rounding of a float16 state over fewer values, hence more than the 1e-3 of T-one.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float16, 3e-3)])
def test_streaming_equals_offline(small_config, dtype, tolerance):
    model = fill_weights(AcousticModel(small_config))
    signal = speech_like(np.random.default_rng(1), 3, 9 * small_config.chunk_samples)
    offline, _ = _offline(model, signal, [signal.shape[1]] * 3)
    assert (_stream(model, signal, dtype) - offline).abs().max() <= tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float16, 1e-3)])
def test_streaming_equals_offline_at_full_size(t_one, dtype, tolerance):
    signal = speech_like(np.random.default_rng(2), 2, 6 * 2400)
    offline, _ = _offline(t_one, signal, [signal.shape[1]] * 2)
    assert (_stream(t_one, signal, dtype) - offline).abs().max() <= tolerance


def test_padding_does_not_reach_valid_frames(small_config):
    model = fill_weights(AcousticModel(small_config))
    samples = 15_360  # 64 frames, not a whole number of chunks
    signal = speech_like(np.random.default_rng(3), 1, samples)
    alone, encoded = _offline(model, signal, [samples])
    assert encoded == [64]
    noisy_padding = np.concatenate([signal, speech_like(np.random.default_rng(4), 1, 7_500)], axis=1)
    padded, encoded = _offline(model, np.repeat(noisy_padding, 2, axis=0), [samples, noisy_padding.shape[1]])
    assert encoded[0] == 64
    assert alone.shape[1] == 64
    assert padded.shape[1] == noisy_padding.shape[1] // 240
    assert (padded[:1, :64] - alone).abs().max() <= 1e-5


def test_an_odd_number_of_frames_loses_the_last_one_only(small_config):
    model = fill_weights(AcousticModel(small_config))
    signal = speech_like(np.random.default_rng(5), 1, 63 * 240 + 100)
    logprobs, encoded = _offline(model, signal, [signal.shape[1]])
    assert logprobs.shape[1] == 63
    assert encoded == [62]
    # The last chunk aside (its 63rd frame is seen by its neighbours), a longer utterance gives the same.
    longer, _ = _offline(model, np.pad(signal, ((0, 0), (0, 2400))), [signal.shape[1]])
    assert (longer[:, :60] - logprobs[:, :60]).abs().max() <= 1e-5


def test_streams_of_a_batch_do_not_meet(small_config):
    model = fill_weights(AcousticModel(small_config))
    signal = speech_like(np.random.default_rng(6), 3, 4 * small_config.chunk_samples)
    together = _stream(model, signal, torch.float16)
    alone = torch.cat([_stream(model, row[None], torch.float16) for row in signal])
    assert (together - alone).abs().max() <= 1e-4


def test_too_short_a_waveform_is_refused():
    model = AcousticModel(SMALL_CONFIGS["narrow"])
    with pytest.raises(ValueError, match="shorter than a frame"):
        model(torch.zeros(1, 200), torch.tensor([200]))


def test_training_step_in_bfloat16_reaches_every_parameter():
    torch.manual_seed(0)
    model = AcousticModel(SMALL_CONFIGS["narrow"]).train()
    signal = speech_like(np.random.default_rng(7), 2, 24_000)
    waveform, lengths = torch.from_numpy(signal.astype(np.float32) / 32767), torch.tensor([24_000, 19_200])
    seen = []

    def augment(mel: torch.Tensor, mel_lengths: torch.Tensor) -> torch.Tensor:
        seen.append((mel.dtype, mel.shape, mel_lengths.tolist()))
        return mel

    with torch.autocast("cpu", dtype=torch.bfloat16):
        logprobs, encoded = model(waveform, lengths, augment)
    assert seen == [(torch.float32, (2, 300, 64), [300, 240])]
    assert logprobs.dtype == torch.float32
    targets = torch.tensor([[1, 2, 3], [4, 5, 6]])
    loss = torch.nn.functional.ctc_loss(
        logprobs.transpose(0, 1), targets, encoded, torch.tensor([3, 3]), blank=model.config.blank
    )
    loss.backward()
    silent = [name for name, value in model.named_parameters() if not value.grad.any()]
    # The bias of a convolution in front of a batch norm has no effect in training mode.
    assert [name for name in silent if not name.endswith("bias")] == []
    assert all(value.grad.isfinite().all() for value in model.parameters())


def test_dropout_only_in_training():
    model = fill_weights(AcousticModel(SMALL_CONFIGS["narrow"]))
    waveform = torch.randn(1, 4800, generator=torch.Generator().manual_seed(0)) * 0.1
    lengths = torch.tensor([4800])
    with torch.inference_mode():
        assert torch.equal(model(waveform, lengths)[0], model(waveform, lengths)[0])
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.eval()
        assert not torch.equal(model(waveform, lengths)[0], model(waveform, lengths)[0])


def test_half_precision_weights_stay_close():
    model = fill_weights(AcousticModel(SMALL_CONFIGS["narrow"]))
    signal = speech_like(np.random.default_rng(8), 2, 4 * 2400)
    exact = _stream(model, signal, torch.float16)
    rounded = _stream(model.bfloat16(), signal, torch.float16)
    assert rounded.dtype == torch.float32
    assert (rounded - exact).abs().mean() <= 0.05


def test_traces_without_graph_breaks():
    model = fill_weights(AcousticModel(SMALL_CONFIGS["head-below-rope"]))
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    waveform = torch.randn(2, 9600, generator=torch.Generator().manual_seed(0)) * 0.1
    lengths = torch.tensor([9600, 7200])
    with torch.no_grad():
        expected, encoded = model(waveform, lengths)
        logprobs, compiled_encoded = compiled(waveform, lengths)
    assert torch.equal(encoded, compiled_encoded)
    assert (logprobs - expected).abs().max() <= 1e-5


class TestConfig:
    def test_groups_of_scores(self):
        assert [block for block in range(16) if T_ONE.owns_scores(block)] == [0, 7, 14, 15]
        assert [T_ONE.left_context(block) for block in (0, 13, 14, 15)] == [0, 0, 15, 30]
        assert [T_ONE.block_chunk(block) for block in (6, 7, 14, 15)] == [10, 5, 5, 10]

    def test_round_trip(self, small_config):
        assert AcousticConfig.from_dict(small_config.to_dict()) == small_config

    def test_unknown_field(self):
        with pytest.raises(AcousticError, match="'layers'"):
            AcousticConfig.from_dict({"layers": 3})

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"n_heads": 7}, "n_heads=7"),
            ({"upsample_after": 16}, "must rise"),
            ({"attention_cache": 25}, "attention_cache=25"),
            ({"n_mels": 30}, "n_mels=30"),
            ({"d_model": 24, "n_heads": 8}, "must be even"),
        ],
    )
    def test_contradicting_sizes(self, fields, message):
        with pytest.raises(AcousticError, match=message):
            AcousticConfig(**fields)
