"""Log-mel features of telephone audio: the front end in front of the trained layers, without parameters.

Buffering of samples between chunks belongs to the network's streaming step; augmentation to training.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tritone_acoustic.config import HOP, SAMPLE_RATE

WINDOW = 2 * HOP
BINS = WINDOW // 2 + 1
PRE_EMPHASIS = 0.97
GUARD = 2.0**-24
"""Added to the mel energies before the logarithm."""


def spectrum_basis() -> NDArray[np.float32]:
    """Return the matrix that takes a frame of raw samples to its spectrum.

    Pre-emphasis inside the frame (first sample replicated), the symmetric Hann window and the discrete
    Fourier transform are all linear, so they are one matrix.

    Returns:
        float32 [2 * BINS, WINDOW]: rows of real parts, then rows of imaginary parts.
    """
    sample = np.arange(WINDOW)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * sample / (WINDOW - 1))).astype(np.float32).astype(np.float64)
    angle = 2 * np.pi * np.outer(np.arange(BINS), sample) / WINDOW
    rows = np.concatenate([np.cos(angle), -np.sin(angle)]) * window
    basis = rows.copy()
    basis[:, :-1] -= PRE_EMPHASIS * rows[:, 1:]
    basis[:, 0] -= PRE_EMPHASIS * rows[:, 0]
    table: NDArray[np.float32] = basis.astype(np.float32)
    return table


def mel_filterbank(n_mels: int = 64) -> NDArray[np.float32]:
    """Return triangular filters on the Slaney mel scale, each of unit area.

    The scale is linear (200/3 Hz per mel) below 1 kHz and logarithmic above (Slaney, Auditory Toolbox, 1998).

    Args:
        n_mels: number of bands between 0 Hz and half the sample rate.

    Returns:
        float32 [n_mels, BINS].
    """
    step, knee, log_step = 200.0 / 3.0, 1000.0, np.log(6.4) / 27.0
    top = knee / step + np.log(SAMPLE_RATE / 2 / knee) / log_step
    mels = np.linspace(0.0, top, n_mels + 2)
    edges = np.where(mels < knee / step, mels * step, knee * np.exp((mels - knee / step) * log_step))
    bins = np.arange(BINS) * (SAMPLE_RATE / WINDOW)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    filters: NDArray[np.float32] = (np.maximum(triangles, 0.0) * 2.0 / (right - left)).astype(np.float32)
    return filters


class LogMel(nn.Module):
    """Log-mel energies of 20 ms frames every 10 ms, always computed in float32."""

    basis: Tensor
    filterbank: Tensor

    def __init__(self, n_mels: int = 64) -> None:
        super().__init__()
        self.register_buffer("basis", torch.from_numpy(spectrum_basis()), persistent=False)
        self.register_buffer("filterbank", torch.from_numpy(mel_filterbank(n_mels)), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Compute log-mel frames.

        Args:
            samples: float [B, HOP + N], about +-1; the first HOP are the past, zeros at the start.

        Returns:
            float32 [B, N // HOP, n_mels], natural logarithm.
        """
        frames = samples.shape[1] // HOP - 1
        with torch.autocast(samples.device.type, enabled=False):
            # A frame is two neighbouring hops, so no gather of overlapping windows is needed.
            hops = samples[:, : (frames + 1) * HOP].float().reshape(-1, frames + 1, HOP)
            spectrum = torch.cat([hops[:, :-1], hops[:, 1:]], dim=2) @ self.basis.float().T
            real, imaginary = spectrum.chunk(2, dim=2)
            energy = (real * real + imaginary * imaginary) @ self.filterbank.float().T
            return torch.log(energy + GUARD)
