"""Sizes of a T-one style network as the GPU engine needs them, read off the weights and ``model.toml``.

No tensors here: weights are read in weights.py and packed in pack.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tritone_backend.errors import ModelError

HOP = 80
"""Samples between mel frames; a frame spans two hops."""
BINS = HOP + 1
"""Bins of the spectrum of one frame of two hops."""
MEL_PER_FRAME = 3
KERNELS = ((11, 21), (11, 11))
"""(time, mel) kernels of the two subsampling convolutions; the second one has a time stride of 3."""


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network; the field names are those of ``[architecture]`` in ``model.toml``."""

    d_model: int
    n_layers: int
    n_heads: int
    ff_dim: int
    conv_kernel: int
    reduction_after: int
    upsample_after: int
    subsampling_channels: tuple[int, int]
    n_mels: int
    n_classes: int
    rope_dim: int = 32
    attention_cache: int = 30
    chunk_frames: int = 10

    @property
    def head_dim(self) -> int:
        """Features per attention head."""
        return self.d_model // self.n_heads

    @property
    def rotary(self) -> int:
        """Leading features of a head that are rotated."""
        return min(self.rope_dim, self.head_dim)

    @property
    def chunk_mels(self) -> int:
        """Mel frames per chunk."""
        return self.chunk_frames * MEL_PER_FRAME

    @property
    def chunk_samples(self) -> int:
        """Samples per chunk."""
        return self.chunk_mels * HOP

    @property
    def mel_widths(self) -> tuple[int, int]:
        """Mel extent after each of the two subsampling convolutions."""
        first = self.n_mels - KERNELS[0][1] + 1
        return first, first - KERNELS[1][1] + 1

    @property
    def history(self) -> tuple[int, int]:
        """Frames that the two subsampling convolutions keep: kernel minus stride."""
        return KERNELS[0][0] - 1, KERNELS[1][0] - MEL_PER_FRAME

    def is_half_rate(self, block: int) -> bool:
        """Whether a block runs on 60 ms frames."""
        return self.reduction_after < block <= self.upsample_after

    def frames(self, block: int) -> int:
        """Frames per chunk at the rate of a block."""
        return self.chunk_frames // 2 if self.is_half_rate(block) else self.chunk_frames

    def left_context(self, block: int) -> int:
        """Cached frames that a block attends to, at its own rate."""
        if block < self.upsample_after:
            return 0
        return self.attention_cache // 2 if self.is_half_rate(block) else self.attention_cache

    def owns_scores(self, block: int) -> bool:
        """Whether a block computes attention scores; others reuse those of the nearest earlier owner."""
        return block in (0, self.reduction_after + 1) or block >= self.upsample_after

    @property
    def state_size(self) -> int:
        """Values of one stream's state in the public layout; what ``model.toml`` must agree with."""
        history_a, history_b = self.history
        attention = (self.n_layers - self.upsample_after) * self.attention_cache * self.d_model
        convolution = self.n_layers * self.d_model * (self.conv_kernel - 1)
        subsampling = history_a * self.n_mels + self.subsampling_channels[0] * history_b * self.mel_widths[0]
        return 1 + HOP + attention + convolution + subsampling + self.d_model

    @classmethod
    def from_weights(
        cls, shapes: Mapping[str, tuple[int, ...]], table: Mapping[str, Any] | None = None, *, chunk_frames: int = 10
    ) -> Architecture:
        """Work the sizes out.

        Args:
            shapes: shape of every parameter by public name.
            table: the ``[architecture]`` table of ``model.toml``, which wins where the weights leave a choice.
            chunk_frames: output frames per chunk.

        Raises:
            ModelError: a parameter is missing, or the sizes contradict one another.
        """
        table = dict(table or {})
        try:
            layers = 1 + max(int(name.split(".")[2]) for name in shapes if name.startswith("encoder.layers."))
            owners = [i for i in range(layers) if f"encoder.layers.{i}.self_attn.linear_q.weight" in shapes]
            d_model = shapes["encoder.pre_encode.out_norm.weight"][0]
            head_dim = shapes["encoder.layers.0.self_attn.q_ln.weight"][0]
            found: dict[str, Any] = {
                "d_model": d_model,
                "n_layers": layers,
                "n_heads": d_model // head_dim,
                "ff_dim": shapes["encoder.layers.0.feed_forward1.linear1.weight"][0],
                "conv_kernel": shapes["encoder.layers.0.conv.depthwise_conv.conv.weight"][2],
                # Owners are the first block, the first one of half the rate, and all from upsample_after on.
                "reduction_after": owners[1] - 1,
                "upsample_after": owners[2],
                "subsampling_channels": (
                    shapes["encoder.pre_encode.conv.0.0.weight"][0],
                    shapes["encoder.pre_encode.conv.1.0.weight"][0],
                ),
                "n_mels": shapes["encoder.pre_encode.pre_norm.weight"][0],
                "n_classes": shapes["decoder.decoder_layers.0.weight"][0],
                "chunk_frames": chunk_frames,
            }
        except (KeyError, IndexError, ValueError) as error:
            raise ModelError(
                f"the weights are not those of a T-one style network: {error} is missing; "
                "put model.safetensors with the public parameter names beside model.onnx"
            ) from None
        fields = {field.name for field in dataclasses.fields(cls)}
        for name in ("reduction_after", "upsample_after", "rope_dim", "attention_cache"):
            if name in table and name in fields:
                found[name] = int(table[name])
        architecture = cls(**found)
        architecture._check(table)
        return architecture

    def _check(self, table: Mapping[str, Any]) -> None:
        for name, value in dataclasses.asdict(self).items():
            stated = table.get(name, value)
            stated = tuple(stated) if isinstance(stated, list) else stated
            if stated != value:
                raise ModelError(f"model.toml says {name} = {stated}, the weights say {value}: export the model anew")
        rules = (
            (self.chunk_frames % 2 == 0, "frames_per_chunk must be even"),
            (self.attention_cache % self.chunk_frames == 0, "attention_cache must be a multiple of frames_per_chunk"),
            (self.conv_kernel > self.chunk_frames, "conv_kernel must exceed frames_per_chunk"),
            (self.rotary % 2 == 0, "rope_dim must be even"),
            (0 <= self.reduction_after < self.upsample_after < self.n_layers, "the rate changes are out of order"),
        )
        for holds, message in rules:
            if not holds:
                raise ModelError(f"the torch engine cannot run this network: {message}")
