"""Changes of frame rate: the convolutions before the blocks (10 to 30 ms), the reduction to 60 ms frames.

The blocks themselves are in blocks.py; undoing the reduction has no parameters and sits in network.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tritone_acoustic.blocks import RMSNorm
from tritone_acoustic.config import MEL_PER_FRAME, SUBSAMPLING_KERNELS, AcousticConfig


class PreEncode(nn.Module):
    """Normalised mel frames through two convolutions and a projection: a 30 ms frame from 3 mel frames."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        first, second = config.subsampling_channels
        self.history = config.subsampling_history
        self.pre_norm = RMSNorm(config.n_mels)
        self.conv = nn.Sequential(
            nn.Sequential(nn.Conv2d(1, first, SUBSAMPLING_KERNELS[0]), nn.BatchNorm2d(first), nn.SiLU()),
            nn.Sequential(
                nn.Conv2d(first, second, SUBSAMPLING_KERNELS[1], stride=(MEL_PER_FRAME, 1)),
                nn.BatchNorm2d(second),
                nn.SiLU(),
            ),
        )
        self.out = nn.Linear(second * config.mel_widths[1], config.d_model, bias=False)
        self.out_norm = RMSNorm(config.d_model)

    def forward(self, mel: Tensor, past: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Encode mel frames.

        Args:
            mel: float32 [B, L, n_mels].
            past: inputs of the two convolutions before these frames, [B, 1, 10, n_mels] and [B, C, 8, F];
                None starts from zeros.

        Returns:
            [B, L // 3, d_model], and the new past in the form of the argument.
        """
        first_past, second_past = past or (None, None)
        x = self._extend(self.pre_norm(mel).unsqueeze(1), first_past, self.history[0])
        y = self._extend(self.conv[0](x), second_past, self.history[1])
        z = self.conv[1](y)
        out = self.out_norm(self.out(z.transpose(1, 2).flatten(2)))
        return out, (x[:, :, -self.history[0] :], y[:, :, -self.history[1] :])

    @staticmethod
    def _extend(x: Tensor, past: Tensor | None, frames: int) -> Tensor:
        """Put the past (or zeros) before the new frames on the time axis of [B, C, time, mel]."""
        return F.pad(x, (0, 0, frames, 0)) if past is None else torch.cat([past.to(x.dtype), x], dim=2)


class TemporalReduction(nn.Module):
    """Halves the frame rate: a depthwise convolution of stride 2, 4 times as wide, then a pointwise one."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        d = config.d_model
        self.conv = nn.Conv1d(d, 4 * d, 3, stride=2, groups=d)
        self.conv_pw = nn.Conv1d(4 * d, d, 1)

    def forward(self, x: Tensor, past: Tensor | None = None) -> Tensor:
        """Reduce the rate.

        Args:
            x: [B, T, d_model], T even.
            past: [B, d_model, 1], the frame before `x`; None for zeros.

        Returns:
            [B, T // 2, d_model]; frame j has seen frames up to 2 j + 1.
        """
        columns = x.transpose(1, 2)
        columns = F.pad(columns, (1, 0)) if past is None else torch.cat([past.to(x.dtype), columns], dim=2)
        wide = self.conv(columns).transpose(1, 2)
        return F.linear(wide, self.conv_pw.weight.squeeze(2), self.conv_pw.bias)
