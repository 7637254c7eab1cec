import pytest
import torch
from tritone_acoustic.data.channel import Channel, ChannelSettings, a_law, mu_law
from tritone_acoustic.data.render import Plan, render

pytestmark = pytest.mark.unit
_NEVER = 2**40


def _plan(offset, length, start, speed, gain):
    return Plan(
        torch.tensor(offset),
        torch.tensor(length),
        torch.tensor(start),
        torch.tensor(speed, dtype=torch.float32),
        torch.tensor(gain, dtype=torch.float32),
    )


def test_render_at_normal_speed_copies_the_samples():
    store = torch.randint(-20000, 20000, (5000,), dtype=torch.int16)
    plan = _plan([[100, 2000]], [[1000, 500]], [[50, 3000]], [[1.0, 1.0]], [[1.0, 0.5]])
    row, speech = render(store, plan, 4000)
    torch.testing.assert_close(row[0, 50:1049], store[100:1099].float(), atol=0.05, rtol=0)
    torch.testing.assert_close(row[0, 3000:3499], store[2000:2499].float() * 0.5, atol=0.05, rtol=0)
    assert speech.sum() == 999 + 499
    assert row[~speech].abs().max() == 0


def test_render_changes_speed_and_pitch():
    time = torch.arange(8000) / 8000
    store = (torch.sin(2 * torch.pi * 500 * time) * 10000).to(torch.int16)
    row, speech = render(store, _plan([[0]], [[8000]], [[0]], [[1.25]], [[1.0]]), 8000)
    assert abs(int(speech.sum()) - 6400) <= 2
    expected = torch.sin(2 * torch.pi * 625 * time) * 10000
    assert (row[0, 50:6300] - expected[50:6300]).abs().max() < 150


def test_an_empty_row_is_silent():
    row, speech = render(torch.ones(10, dtype=torch.int16), _plan([[0]], [[0]], [[_NEVER]], [[1.0]], [[1.0]]), 100)
    assert row.abs().sum() == 0
    assert not speech.any()


@pytest.mark.parametrize("law", [mu_law, a_law])
def test_companding_is_close_monotone_and_eight_bit(law):
    x = torch.linspace(-1, 1, 20001)
    y = law(x)
    assert (y - x).abs().max() < 0.04
    assert (y[1:] >= y[:-1]).all()
    assert len(y.unique()) <= 257
    assert law(torch.zeros(1)).item() == 0.0


def _everything():
    return ChannelSettings(
        room=1.0, noisy=1.0, band=1.0, clipped=1.0, companded=1.0, lossy=1.0, level_db=(-20.0, -19.0)
    )


@pytest.mark.parametrize("settings", [ChannelSettings(), _everything()])
def test_channel_output_is_finite_sixteen_bit_and_changed(settings):
    clean = torch.zeros(6, 16000)
    clean[:5, 3000:12000] = 0.1 * torch.sin(torch.arange(9000) * 0.3)
    speech = clean != 0
    result = Channel(torch.device("cpu"), 3, settings)(clean, speech)
    assert result.shape == clean.shape
    assert result.isfinite().all()
    assert result.abs().max() <= 1.0
    torch.testing.assert_close(result * 32767, (result * 32767).round(), atol=2e-3, rtol=0)
    assert (result[:5] - clean[:5]).abs().amax(1).min() > 1e-3


def test_channel_is_reproducible_and_reaches_the_asked_noise_level():
    clean = torch.zeros(8, 24000)
    clean[:, 8000:16000] = 0.1 * torch.randn(8, 8000)
    settings = ChannelSettings(room=0, noisy=1, snr_db=(10, 10.01), band=0, tilt_db=0, clipped=0, companded=0, lossy=0)
    one = Channel(torch.device("cpu"), 1, settings)(clean, clean != 0)
    two = Channel(torch.device("cpu"), 1, settings)(clean, clean != 0)
    torch.testing.assert_close(one, two)
    pause, spoken = one[:, :8000].square().mean(), one[:, 8000:16000].square().mean()
    assert 5 < 10 * torch.log10(spoken / pause) < 18


def test_a_quiet_line_adds_nothing_to_digital_silence():
    settings = ChannelSettings(room=0, noisy=0, lossy=0)
    result = Channel(torch.device("cpu"), 1, settings)(torch.zeros(3, 8000), torch.zeros(3, 8000, dtype=torch.bool))
    assert result.abs().max() == 0
