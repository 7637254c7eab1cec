import numpy as np
import pytest
import torch
from tritone_acoustic.features import LogMel, mel_filterbank
from tritone_acoustic.training.voice_change import VoiceChange, VoiceSettings, _hertz_of, _mel_of

pytestmark = pytest.mark.unit
_STILL = {"contrast": (1.0, 1.0), "motion": (1.0, 1.0), "tempo": 0.0}


def _tone_peak(mel):
    return mel.mean(dim=1).argmax(dim=1)


def test_without_ranges_nothing_changes():
    settings = VoiceSettings(tract=0.0, bend=0.0, **_STILL)
    mel = torch.randn(3, 90, 64)
    torch.testing.assert_close(VoiceChange(settings)(mel), mel, atol=1e-2, rtol=0)


def test_mel_scale_is_the_front_ends():
    hertz = torch.linspace(0, 4000, 100)
    torch.testing.assert_close(_hertz_of(_mel_of(hertz)), hertz, atol=1e-2, rtol=1e-4)
    centres = np.array([mel_filterbank(64)[m].argmax() * 50.0 for m in range(64)])
    top = float(_mel_of(torch.tensor(4000.0)))
    expected = _hertz_of((torch.arange(64) + 1.0) * top / 65).numpy()
    assert np.abs(centres - expected).max() <= 50.0


def test_a_longer_vocal_tract_moves_a_tone_to_another_band():
    time = torch.arange(16_160) / 8000
    mel = LogMel()(0.3 * torch.sin(2 * np.pi * 1500.0 * time).unsqueeze(0)).expand(64, -1, -1)
    torch.manual_seed(0)
    changed = VoiceChange(VoiceSettings(tract=0.17, bend=0.0, **_STILL))(mel)
    band = _tone_peak(mel)[0]
    spread = _tone_peak(changed) - band
    # ln(f'/f) of 0.17 is six to seven bands of a logarithmic scale with 64 ones.
    assert spread.min() <= -4
    assert spread.max() >= 4
    assert spread.abs().max() <= 10


def test_rows_change_independently_and_stay_finite():
    torch.manual_seed(1)
    mel = torch.randn(1, 300, 64).expand(8, -1, -1) * 3 - 5
    changed = VoiceChange(VoiceSettings())(mel)
    assert changed.shape == mel.shape
    assert torch.isfinite(changed).all()
    assert (changed[0] - changed[1]).abs().mean() > 0.1
    silence = torch.full((2, 300, 64), -16.6)
    torch.testing.assert_close(VoiceChange(VoiceSettings())(silence), silence, atol=1e-3, rtol=0)


def test_tempo_moves_sounds_by_less_than_a_quarter_second():
    torch.manual_seed(2)
    mel = torch.zeros(32, 400, 64)
    mel[:, 200] = 10.0
    settings = VoiceSettings(tract=0.0, bend=0.0, contrast=(1.0, 1.0), motion=(1.0, 1.0))
    moved = VoiceChange(settings)(mel).mean(dim=2)
    place = (moved * torch.arange(400)).sum(1) / moved.sum(1).clamp(min=1e-6)
    heard = moved.sum(1) > 1.0
    assert heard.float().mean() > 0.7
    assert (place[heard] - 200).abs().max() < 25
    assert (place[heard] - 200).std() > 1.0
