"""SpecAugment: random bands and stretches of the log-mel features replaced by their mean.

Fixed shapes and no transfer from the device, so that it can be part of a captured graph.
"""

from __future__ import annotations

import torch
from torch import Tensor


class SpecMask:
    """Masks log-mel features (Park et al. 2019, without time warping).

    Args:
        time_masks: number and largest width in frames.
        band_masks: number and largest width in mel bands.
    """

    def __init__(self, time_masks: tuple[int, int], band_masks: tuple[int, int]) -> None:
        self._time_masks = time_masks
        self._band_masks = band_masks

    @staticmethod
    def _mask(rows: int, extent: int, masks: tuple[int, int], device: torch.device) -> Tensor:
        """Draws bool [rows, extent]: True where something is hidden."""
        count, widest = masks
        width = torch.rand(rows, count, 1, device=device) * widest
        start = torch.rand(rows, count, 1, device=device) * (extent - width)
        position = torch.arange(extent, device=device)
        return ((position >= start) & (position < start + width)).any(dim=1)

    def __call__(self, mel: Tensor, lengths: Tensor) -> Tensor:
        """Masks features.

        Args:
            mel: float32 [B, L, M] log-mel.
            lengths: int64 [B], valid frames; unused, since training rows are full.

        Returns:
            float32 [B, L, M].
        """
        rows, frames, bands = mel.shape
        hidden = self._mask(rows, frames, self._time_masks, mel.device).unsqueeze(2)
        hidden = hidden | self._mask(rows, bands, self._band_masks, mel.device).unsqueeze(1)
        return torch.where(hidden, mel.mean(dim=(1, 2), keepdim=True), mel)
