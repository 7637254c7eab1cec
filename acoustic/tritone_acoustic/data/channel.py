"""Rooms, noise and telephone channels, for a whole batch at once in PyTorch.

Takes clean rows, gives what a telephone network delivers; putting utterances into rows is in `render`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

RATE = 8000
FULL_SCALE = 32767.0


@dataclass(frozen=True)
class ChannelSettings:
    """How often and how strongly each disturbance happens; shares are per row of the batch.

    Attributes:
        room: share with reverberation.
        noisy: share with noise (the others stay as clean as they were made).
        snr_db: range of the signal-to-noise ratio in dB.
        band: share with a telephone band filter.
        tilt_db: largest deviation of the random frequency response in dB.
        level_db: range of the speech level in dB below full scale.
        clipped: share driven into clipping.
        companded: share sent through mu-law or A-law.
        lossy: share with lost packets.
    """

    room: float = 0.3
    noisy: float = 0.75
    snr_db: tuple[float, float] = (5.0, 35.0)
    band: float = 0.75
    tilt_db: float = 8.0
    level_db: tuple[float, float] = (-38.0, -10.0)
    clipped: float = 0.05
    companded: float = 0.6
    lossy: float = 0.1


def mu_law(x: Tensor) -> Tensor:
    """Quantises as 8-bit mu-law does (continuous form of ITU-T G.711, mu = 255).

    Args:
        x: float [...] in -1..1.

    Returns:
        The decoded signal, same shape.
    """
    compressed = torch.sign(x) * torch.log1p(255.0 * x.abs()) / math.log(256.0)
    levels = torch.round(compressed * 127.0) / 127.0
    return torch.sign(levels) * torch.expm1(levels.abs() * math.log(256.0)) / 255.0


def a_law(x: Tensor) -> Tensor:
    """Quantises as 8-bit A-law does (continuous form of ITU-T G.711, A = 87.6).

    Args:
        x: float [...] in -1..1.

    Returns:
        The decoded signal, same shape.
    """
    a, scale = 87.6, 1.0 + math.log(87.6)
    size = x.abs()
    compressed = torch.where(size < 1 / a, a * size, 1.0 + torch.log((a * size).clamp(min=1.0))) / scale
    levels = (torch.floor(compressed * 128.0).clamp(max=127.0) + 0.5) / 128.0
    decoded = torch.where(levels < 1 / scale, levels * scale / a, torch.exp(levels * scale - 1.0) / a)
    return torch.sign(x) * decoded


def _fft_size(length: int) -> int:
    """The next length that is a small odd number times a power of two."""
    return min(odd << math.ceil(math.log2(length / odd)) for odd in (1, 3, 5, 15))


class Channel:
    """Disturbs batches of rows.

    Args:
        device: where the batches live.
        seed: of the random parameters.
        settings: how often and how strongly.
    """

    def __init__(self, device: torch.device, seed: int, settings: ChannelSettings | None = None) -> None:
        self.settings = settings or ChannelSettings()
        self._device = device
        self.generator = torch.Generator(device=device)
        self.generator.manual_seed(seed)

    def _uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(*shape, device=self._device, generator=self.generator) * (high - low) + low

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, device=self._device, generator=self.generator)

    def _chance(self, rows: int, share: float) -> Tensor:
        return self._uniform(rows, 1) < share

    def _room_response(self, rows: int, size: int) -> Tensor:
        """Spectra of random rooms: a direct path and an exponentially decaying tail (Polack's model)."""
        taps = 3200
        time = torch.arange(taps, device=self._device) / RATE
        decay = self._uniform(rows, 1, low=0.08, high=0.5)  # seconds until -60 dB
        tail = self._normal(rows, taps) * torch.exp(-6.908 * time / decay)
        tail[:, :16] = 0.0
        tail = tail / (tail.square().sum(1, keepdim=True).sqrt() + 1e-9)
        ratio_db = self._uniform(rows, 1, low=-2.0, high=15.0)  # direct to reverberant
        tail = tail * 10 ** (-ratio_db / 20) * self._chance(rows, self.settings.room)
        tail[:, 0] = 1.0
        return torch.fft.rfft(tail, size)

    def _frequency_response(self, rows: int, size: int) -> Tensor:
        """Random telephone bands times random smooth equalisation, real [rows, size // 2 + 1]."""
        frequency = torch.linspace(0, RATE / 2, size // 2 + 1, device=self._device)
        low = self._uniform(rows, 1, low=60.0, high=400.0)
        high = self._uniform(rows, 1, low=2900.0, high=3900.0)
        band = torch.sigmoid((frequency - low) / (low * 0.15)) * torch.sigmoid((high - frequency) / 60.0)
        band = torch.where(self._chance(rows, self.settings.band), band, torch.ones_like(band))
        knots = self._uniform(rows, 1, 9, low=-1.0, high=1.0) * self._uniform(rows, 1, 1) * self.settings.tilt_db
        tilt = F.interpolate(knots, size // 2 + 1, mode="linear", align_corners=True).squeeze(1)
        return band * 10 ** (tilt / 20)

    def _noise(self, clean: Tensor, size: int) -> Tensor:
        """Unit-power noise: coloured and slowly varying, babble of other rows, mains hum, clicks."""
        rows, length = clean.shape
        frequency = torch.linspace(0, RATE / 2, size // 2 + 1, device=self._device).clamp(min=30.0)
        slope = self._uniform(rows, 1, low=-0.2, high=1.3)
        spectrum = torch.complex(self._normal(rows, size // 2 + 1), self._normal(rows, size // 2 + 1))
        coloured = torch.fft.irfft(spectrum * (frequency / 1000.0) ** -slope, size)[:, :length]
        envelope = self._normal(rows, 1, length // 4000 + 2) * self._uniform(rows, 1, 1, high=1.2)
        envelope = torch.exp(F.interpolate(envelope, length, mode="linear", align_corners=True).squeeze(1))
        babble = torch.zeros_like(clean)
        for voice in range(1, 6):
            babble = babble + clean.roll((voice, voice * 7919), (0, 1))
        time = torch.arange(length, device=self._device) / RATE
        hum = torch.zeros_like(clean)
        for harmonic in (1, 2, 3, 4, 6, 9):
            phase = self._uniform(rows, 1, high=2 * math.pi)
            hum = hum + self._uniform(rows, 1) * torch.sin(2 * math.pi * 50.0 * harmonic * time + phase)
        clicks = (self._uniform(rows, length) < 3e-4) * self._normal(rows, length)
        clicks = clicks + clicks.roll(1, 1) * 0.7 - clicks.roll(3, 1) * 0.5
        total = torch.zeros_like(clean)
        for part, share in ((coloured * envelope, 0.8), (babble, 0.3), (hum, 0.1), (clicks, 0.1)):
            power = part.square().mean(1, keepdim=True)
            weight = self._uniform(rows, 1, low=0.2) * self._chance(rows, share)
            total = total + part * weight * torch.rsqrt(power + 1e-12)
        return total * torch.rsqrt(total.square().mean(1, keepdim=True) + 1e-12)

    def _drop_packets(self, x: Tensor) -> Tensor:
        """Replaces lost 20 ms packets by silence or by the packet before."""
        rows, length = x.shape
        packets = length // 160
        rate = self._uniform(rows, 1, low=0.005, high=0.05)
        lost = self._uniform(rows, packets) < rate
        lost = lost | (lost.roll(1, 1) & (self._uniform(rows, packets) < 0.5))
        lost = lost & self._chance(rows, self.settings.lossy)
        mask = F.pad(lost.repeat_interleave(160, 1), (0, length - packets * 160))
        concealed = x.roll(160, 1) * self._chance(rows, 0.5)
        return torch.where(mask, concealed, x)

    def __call__(self, clean: Tensor, speech: Tensor) -> Tensor:
        """Sends rows through random rooms, noises and lines.

        Args:
            clean: float32 [B, N] in -1..1, digital silence where nobody speaks.
            speech: bool [B, N], where somebody speaks.

        Returns:
            float32 [B, N]: multiples of 1/32767 in -1..1, what a 16-bit telephone stream holds.
        """
        settings = self.settings
        rows, length = clean.shape
        size = _fft_size(length + 3200)
        spoken = speech.sum(1, keepdim=True)
        power = (clean.square() * speech).sum(1, keepdim=True) / spoken.clamp(min=1)
        # Rows without speech are noise only, at a level as if somebody spoke.
        reference = torch.where(spoken > 0, power.sqrt(), torch.full_like(power, 0.05)).clamp(min=1e-4)

        snr = self._uniform(rows, 1, low=settings.snr_db[0], high=settings.snr_db[1])
        noise_level = reference * 10 ** (-snr / 20) * self._chance(rows, settings.noisy)
        noise = self._noise(clean, size) * noise_level
        spectrum = torch.fft.rfft(clean, size) * self._room_response(rows, size)
        spectrum = spectrum + torch.fft.rfft(noise, size)
        x = torch.fft.irfft(spectrum * self._frequency_response(rows, size), size)[:, :length]

        level = self._uniform(rows, 1, low=settings.level_db[0], high=settings.level_db[1])
        overdrive = self._chance(rows, settings.clipped) * self._uniform(rows, 1, low=6.0, high=18.0)
        now = ((x.square() * speech).sum(1, keepdim=True) / spoken.clamp(min=1)).sqrt()
        now = torch.where(spoken > 0, now, reference).clamp(min=1e-4)
        x = (x * 10 ** ((level + overdrive) / 20) / now).clamp(-1.0, 1.0)

        law = self._uniform(rows, 1)
        x = torch.where(law < settings.companded / 2, mu_law(x), x)
        x = torch.where((law >= settings.companded / 2) & (law < settings.companded), a_law(x), x)
        return torch.round(self._drop_packets(x) * FULL_SCALE) / FULL_SCALE
