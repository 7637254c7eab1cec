"""Other speakers out of few: random changes of vocal tract, articulation and tempo on log-mel features.

Works on features inside the captured graph, so shapes are fixed; pitch is changed with the speed in `compose`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tritone_acoustic.config import SAMPLE_RATE

_STEP, _KNEE, _LOG_STEP = 200.0 / 3.0, 1000.0, float(np.log(6.4) / 27.0)


@dataclass(frozen=True)
class VoiceSettings:
    """How far speakers are changed; every change is drawn anew for each row.

    Attributes:
        tract: largest natural logarithm of the factor on formant frequencies.
        bend: largest further factor (logarithm) between low and high formants.
        contrast: range of the factor on what stands out of a mel frame's smooth course (formant sharpness).
        motion: range of the factor on what changes within 150 ms (clear or slack articulation).
        tempo: standard deviation of the displacement of sounds in 10 ms frames.
        tempo_knot: frames between independent displacements.
    """

    tract: float = 0.17
    bend: float = 0.06
    contrast: tuple[float, float] = (0.75, 1.35)
    motion: tuple[float, float] = (0.75, 1.3)
    tempo: float = 3.5
    tempo_knot: int = 40


def _mel_of(hertz: Tensor) -> Tensor:
    """Slaney's mel scale (linear below 1 kHz, logarithmic above), as the front end uses it."""
    return torch.where(
        hertz < _KNEE, hertz / _STEP, _KNEE / _STEP + torch.log(hertz.clamp(min=1.0) / _KNEE) / _LOG_STEP
    )


def _hertz_of(mel: Tensor) -> Tensor:
    """The inverse of `_mel_of`."""
    return torch.where(mel < _KNEE / _STEP, mel * _STEP, _KNEE * torch.exp((mel - _KNEE / _STEP) * _LOG_STEP))


class VoiceChange:
    """Changes the speaker of each row.

    Vocal tract length perturbation after Jaitly and Hinton (2013), here as a piecewise linear map of frequency;
    the other changes answer to what statistical synthesis lacks: sharp formants and uneven tempo.

    Args:
        settings: ranges.
    """

    def __init__(self, settings: VoiceSettings) -> None:
        self._settings = settings

    def _warp_matrix(self, rows: int, bands: int, device: torch.device) -> Tensor:
        """Draws float32 [rows, bands, bands]: column m mixes the two source bands of band m."""
        settings = self._settings
        top = float(_mel_of(torch.tensor(SAMPLE_RATE / 2.0)))
        spacing = top / (bands + 1)
        centre = (torch.arange(bands, device=device) + 1.0) * spacing
        hertz = _hertz_of(centre).expand(rows, bands)
        tract = (torch.rand(rows, 1, device=device) * 2 - 1) * settings.tract
        bend = (torch.rand(rows, 1, device=device) * 2 - 1) * settings.bend

        def moved(frequency: Tensor) -> Tensor:
            return frequency * torch.exp(tract + bend * (frequency / 2000.0 - 0.5))

        # Up to the knee formants scale; from there on a straight line leads to the end of the band.
        knee, end = 3000.0, SAMPLE_RATE / 2.0
        at_knee = moved(torch.full_like(tract, knee)).clamp(max=end - 50.0)
        high = at_knee + (hertz - knee) * (end - at_knee) / (end - knee)
        source = _mel_of(torch.where(hertz < knee, moved(hertz), high).clamp(min=0.0, max=end)) / spacing - 1.0
        source = source.clamp(0.0, bands - 1.0)
        band = torch.arange(bands, device=device).view(1, bands, 1)
        return (1.0 - (source.unsqueeze(1) - band).abs()).clamp(min=0.0)

    def _moved(self, mel: Tensor) -> Tensor:
        """Displaces sounds in time by a smooth random course, linearly interpolated."""
        rows, frames, bands = mel.shape
        knots = torch.randn(rows, 1, frames // self._settings.tempo_knot + 2, device=mel.device)
        shift = F.interpolate(knots * self._settings.tempo, frames, mode="linear", align_corners=True).squeeze(1)
        position = (torch.arange(frames, device=mel.device) + shift).clamp(0.0, frames - 1.001)
        whole = position.floor()
        fraction = (position - whole).unsqueeze(2)
        index = whole.long().unsqueeze(2).expand(rows, frames, bands)
        return torch.lerp(mel.gather(1, index), mel.gather(1, index + 1), fraction)

    @staticmethod
    def _scaled(mel: Tensor, smooth: Tensor, limits: tuple[float, float]) -> Tensor:
        """Scales what differs from the smooth course, by one factor a row."""
        low, high = limits
        factor = torch.rand(mel.shape[0], 1, 1, device=mel.device) * (high - low) + low
        return smooth + (mel - smooth) * factor

    def __call__(self, mel: Tensor) -> Tensor:
        """Changes features.

        Args:
            mel: float32 [B, L, M] log-mel.

        Returns:
            float32 [B, L, M].
        """
        settings = self._settings
        rows, _, bands = mel.shape
        mel = torch.bmm(self._moved(mel), self._warp_matrix(rows, bands, mel.device))
        across = F.avg_pool1d(mel, 11, stride=1, padding=5, count_include_pad=False)
        mel = self._scaled(mel, across, settings.contrast)
        along = F.avg_pool1d(mel.transpose(1, 2), 15, stride=1, padding=7, count_include_pad=False).transpose(1, 2)
        return self._scaled(mel, along, settings.motion)
