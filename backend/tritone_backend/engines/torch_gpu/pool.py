"""The state of every stream, in device memory by slot, and the scratch memory of one batch.

Rings are never shifted or cleared: a stream's count of chunks says where the next frames go and which are valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tritone_backend.engines.torch_gpu.architecture import BINS, HOP, Architecture
from tritone_backend.engines.torch_gpu.pack import PackedWeights

META = 8
"""int16 elements before the samples of an input row: slot (int32), fresh (int32), padding to 16 bytes."""


@dataclass(frozen=True)
class SlotPool:
    """State by slot; the last slot is scratch, for the padded rows of a batch.

    Attributes:
        counts: int32 [slots], chunks that the stream has behind it.
        tail: int16 [slots, HOP], last samples.
        mel: [slots, history, n_mels], last normalised mel frames.
        image: [slots, history, width * channels], last outputs of the first convolution, channels innermost.
        convolution: [slots, blocks, taps - 1, d], rings of gated frames.
        attention: one [slots, left, 2, d] per block with a cache: rings of keys (before rotation) and values.
        reduction: [slots, d], last frame before the rate reduction.
    """

    counts: Tensor
    tail: Tensor
    mel: Tensor
    image: Tensor
    convolution: Tensor
    attention: dict[int, Tensor]
    reduction: Tensor

    @classmethod
    def create(cls, arch: Architecture, slots: int, device: Any, dtype: torch.dtype) -> SlotPool:
        """Allocate ``slots`` slots and a scratch one, all zero."""
        rows = slots + 1

        def zeros(*shape: int, kind: torch.dtype = dtype) -> Tensor:
            return torch.zeros(rows, *shape, dtype=kind, device=device)

        history_a, history_b = arch.history
        d, cached = arch.d_model, range(arch.upsample_after, arch.n_layers)
        return cls(
            counts=zeros(kind=torch.int32),
            tail=zeros(HOP, kind=torch.int16),
            mel=zeros(history_a, arch.n_mels),
            image=zeros(history_b, arch.mel_widths[0] * arch.subsampling_channels[0]),
            convolution=zeros(arch.n_layers, arch.conv_kernel - 1, d),
            attention={block: zeros(arch.left_context(block), 2, d) for block in cached},
            reduction=zeros(d),
        )

    @staticmethod
    def slot_bytes(arch: Architecture, dtype: torch.dtype) -> int:
        """Bytes of one slot."""
        history_a, history_b = arch.history
        d = arch.d_model
        left = sum(arch.left_context(block) for block in range(arch.upsample_after, arch.n_layers))
        values = (
            history_a * arch.n_mels
            + history_b * arch.mel_widths[0] * arch.subsampling_channels[0]
            + arch.n_layers * (arch.conv_kernel - 1) * d
            + left * 2 * d
            + d
        )
        return values * int(torch.finfo(dtype).bits) // 8 + 2 * HOP + 4


@dataclass(frozen=True)
class Workspace:
    """Scratch memory of one batch; every tensor is contiguous, a smaller batch uses its beginning."""

    inbox: Tensor
    inbox_words: Tensor
    row_slot: Tensor
    row_count: Tensor
    hops: Tensor
    spectrum: Tensor
    mel: Tensor
    image: Tensor
    encoded: Tensor
    full: Tensor
    half: Tensor
    saved: Tensor
    normed: Tensor
    wide: Tensor
    gated: Tensor
    heads: Tensor
    mixed: Tensor
    probabilities: Tensor
    reduction_in: Tensor
    logprobs: Tensor

    @classmethod
    def create(
        cls, arch: Architecture, packed: PackedWeights, batch: int, device: Any, dtype: torch.dtype
    ) -> Workspace:
        """Allocate for batches of up to ``batch`` chunks."""

        def zeros(*shape: int, kind: torch.dtype = dtype, spare: int = 0) -> Tensor:
            size = batch
            for extent in shape:
                size *= extent
            # Padded windows read a little past the last row; what is there must exist and be finite.
            return torch.zeros(size + spare, dtype=kind, device=device)[:size].view(batch, *shape)

        history_a, history_b = arch.history
        d, frames, mels = arch.d_model, arch.chunk_frames, arch.chunk_mels
        c1, c2 = arch.subsampling_channels
        w1, w2 = arch.mel_widths
        single = torch.float32
        inbox = zeros(META + arch.chunk_samples, kind=torch.int16)
        return cls(
            inbox=inbox,
            inbox_words=inbox.view(torch.int32),
            row_slot=zeros(kind=torch.int32),
            row_count=zeros(kind=torch.int32),
            hops=zeros(mels + 1, HOP, kind=single),
            spectrum=zeros(mels + 1, 4 * BINS, kind=single),
            mel=zeros(history_a + mels, arch.n_mels, spare=packed.filters[0].width),
            image=zeros(history_b + mels, w1 * c1, spare=packed.filters[1].width),
            encoded=zeros(frames, w2 * c2),
            full=zeros(frames, d),
            half=zeros(frames // 2, d),
            saved=zeros(frames, d),
            normed=zeros(frames, d),
            wide=zeros(frames, max(2 * arch.ff_dim, 2 * d)),
            gated=zeros(frames, arch.ff_dim),
            heads=zeros(frames, 3 * d),
            mixed=zeros(frames, d),
            probabilities=zeros(arch.n_heads, frames, frames),
            reduction_in=zeros(frames // 2, 3 * d),
            logprobs=zeros(frames, arch.n_classes, kind=single),
        )

    def rows(self, name: str, rows: int, width: int) -> Tensor:
        """Return the beginning of a tensor as a contiguous [rows, width] matrix."""
        flat: Tensor = getattr(self, name).view(-1)
        return flat[: rows * width].view(rows, width)
