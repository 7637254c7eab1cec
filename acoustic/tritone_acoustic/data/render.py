"""Puts stored utterances into the rows of a batch, each at its own time, speed and level.

Which utterance goes where is decided in `tritone_acoustic.training.compose`; noise is added in `channel`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_TAPS = 8


@dataclass(frozen=True)
class Plan:
    """Where utterances go; all tensors [B, K], unused places have length 0 and come last.

    Attributes:
        offset: int64, first sample in the store.
        length: int64, samples in the store.
        start: int64, first sample in the row, increasing along K.
        speed: float32, store samples per row sample.
        gain: float32, factor on the int16 values.
    """

    offset: Tensor
    length: Tensor
    start: Tensor
    speed: Tensor
    gain: Tensor

    def to(self, device: torch.device) -> Plan:
        """Moves all tensors to a device."""
        parts = (self.offset, self.length, self.start, self.speed, self.gain)
        return Plan(*(part.to(device, non_blocking=True) for part in parts))


def render(store: Tensor, plan: Plan, samples: int) -> tuple[Tensor, Tensor]:
    """Renders a batch by windowed-sinc interpolation (8 taps, Hann window).

    Args:
        store: int16 [n], all utterances.
        plan: where they go, on the same device.
        samples: length N of a row.

    Returns:
        float32 [B, N] and bool [B, N], which says where an utterance is.
    """
    rows = plan.start.shape[0]
    time = torch.arange(samples, device=store.device).expand(rows, samples).contiguous()
    # The last utterance that has started; -1 (before the first) becomes place 0 and is masked below.
    place = (torch.searchsorted(plan.start, time, right=True) - 1).clamp(min=0)
    begin, length = plan.start.gather(1, place), plan.length.gather(1, place)
    # float64: a float32 position loses a hundredth of a sample after ten seconds.
    position = (time - begin).double() * plan.speed.gather(1, place)
    active = (time >= begin) & (position < length - 1)
    whole = position.floor()
    fraction = (position - whole).float()
    centre = whole.long()
    base = plan.offset.gather(1, place) + centre
    row = torch.zeros(rows, samples, device=store.device)
    for tap in range(1 - _TAPS // 2, _TAPS // 2 + 1):
        distance = fraction - tap
        weight = torch.sinc(distance) * torch.cos(distance * (math.pi / _TAPS)).square()
        inside = active & (centre + tap >= 0) & (centre + tap < length)
        index = (base + tap) * inside  # outside reads sample 0, which the mask removes
        row = row + store[index].float() * weight * inside
    return row * plan.gain.gather(1, place) * active, active
