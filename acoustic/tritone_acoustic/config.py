"""Sizes of a T-one style acoustic network, and all that follows from them (rates, windows, state layout).

No PyTorch here: the training recipe, the exporter and tests read sizes without loading it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from tritone_acoustic.errors import AcousticError

SAMPLE_RATE = 8000
"""Samples per second of everything the network hears."""
HOP = 80
"""Samples between mel frames (10 ms); also the samples kept between chunks, since a frame spans two hops."""
MEL_PER_FRAME = 3
"""Mel frames per output frame: the time stride of the second subsampling convolution."""
SUBSAMPLING_KERNELS = ((11, 21), (11, 11))
"""(time, mel) kernels of the two subsampling convolutions."""
LABELS = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя "
"""Class i is the i-th character; the class after the last one is the CTC blank."""


@dataclass(frozen=True)
class AcousticConfig:
    """Architecture of the network; the defaults are the public T-one.

    Blocks run at the full rate (30 ms frames) up to and including `reduction_after`, at the half rate up to
    and including `upsample_after`, and at the full rate again afterwards. Blocks before `upsample_after`
    attend only inside the chunk; it and later ones also look back over `attention_cache` full-rate frames.

    Attributes:
        d_model: width of the residual stream.
        n_layers: number of conformer blocks.
        n_heads: attention heads; must divide `d_model`.
        ff_dim: inner width of the gated feed-forward modules.
        conv_kernel: taps of the causal depthwise convolution; the state keeps `conv_kernel - 1` frames.
        reduction_after: 0-based block whose output is reduced to the half rate.
        upsample_after: 0-based block whose output is brought back to the full rate.
        subsampling_channels: channels of the two convolutions in front of the blocks.
        n_mels: mel bands.
        rope_dim: features per head that are rotated, at most; see `rotary`.
        n_classes: output classes, the CTC blank last.
        attention_cache: full-rate frames of left context of the last blocks.
        chunk_frames: full-rate frames per chunk.
        dropout: probability on the four sub-block outputs and the attention probabilities, in training only.

    Raises:
        AcousticError: if the sizes contradict one another.
    """

    d_model: int = 384
    n_layers: int = 16
    n_heads: int = 8
    ff_dim: int = 1536
    conv_kernel: int = 31
    reduction_after: int = 6
    upsample_after: int = 14
    subsampling_channels: tuple[int, int] = (32, 64)
    n_mels: int = 64
    rope_dim: int = 32
    n_classes: int = 35
    attention_cache: int = 30
    chunk_frames: int = 10
    dropout: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "subsampling_channels", tuple(self.subsampling_channels))
        mel_kernels = sum(mel - 1 for _, mel in SUBSAMPLING_KERNELS)
        rules = (
            (
                self.d_model % self.n_heads == 0,
                f"n_heads={self.n_heads} does not divide d_model={self.d_model}",
            ),
            (
                0 <= self.reduction_after < self.upsample_after < self.n_layers,
                f"reduction_after={self.reduction_after}, upsample_after={self.upsample_after} and "
                f"n_layers={self.n_layers} must rise in this order",
            ),
            (self.rotary % 2 == 0, f"the rotated part of a head must be even, not {self.rotary}"),
            (self.chunk_frames % 2 == 0, f"chunk_frames={self.chunk_frames} must be even"),
            (
                self.attention_cache % self.chunk_frames == 0,
                f"attention_cache={self.attention_cache} is no multiple of chunk_frames={self.chunk_frames}",
            ),
            (self.n_mels > mel_kernels, f"n_mels={self.n_mels} must exceed {mel_kernels}"),
            (self.chunk_frames * MEL_PER_FRAME >= 10, "a chunk must hold at least 10 mel frames"),
            (len(self.subsampling_channels) == 2, "subsampling_channels needs two numbers"),
        )
        for holds, message in rules:
            if not holds:
                raise AcousticError(f"impossible architecture: {message}")

    @property
    def head_dim(self) -> int:
        """Features per attention head."""
        return self.d_model // self.n_heads

    @property
    def rotary(self) -> int:
        """Leading features of each head that carry the rotary position; the rest pass unchanged."""
        return min(self.rope_dim, self.head_dim)

    @property
    def blank(self) -> int:
        """Class of the CTC blank."""
        return self.n_classes - 1

    @property
    def chunk_mels(self) -> int:
        """Mel frames per chunk."""
        return self.chunk_frames * MEL_PER_FRAME

    @property
    def chunk_samples(self) -> int:
        """Samples per chunk."""
        return self.chunk_mels * HOP

    @property
    def frame_seconds(self) -> float:
        """Seconds per output frame."""
        return MEL_PER_FRAME * HOP / SAMPLE_RATE

    @property
    def mel_widths(self) -> tuple[int, int]:
        """Mel extent after each of the two subsampling convolutions, which do not pad that axis."""
        first = self.n_mels - SUBSAMPLING_KERNELS[0][1] + 1
        return first, first - SUBSAMPLING_KERNELS[1][1] + 1

    @property
    def subsampling_history(self) -> tuple[int, int]:
        """Frames of history of each subsampling convolution: kernel minus stride."""
        return SUBSAMPLING_KERNELS[0][0] - 1, SUBSAMPLING_KERNELS[1][0] - MEL_PER_FRAME

    def is_half_rate(self, block: int) -> bool:
        """Whether a block runs on 60 ms frames."""
        return self.reduction_after < block <= self.upsample_after

    def block_chunk(self, block: int) -> int:
        """Frames per chunk at the rate of a block."""
        return self.chunk_frames // 2 if self.is_half_rate(block) else self.chunk_frames

    def left_context(self, block: int) -> int:
        """Frames before the chunk that a block attends to, at its own rate."""
        if block < self.upsample_after:
            return 0
        return self.attention_cache // 2 if self.is_half_rate(block) else self.attention_cache

    def owns_scores(self, block: int) -> bool:
        """Whether a block computes its attention scores; others reuse those of the nearest earlier owner."""
        return block in (0, self.reduction_after + 1) or block >= self.upsample_after

    @property
    def cache_slots(self) -> int:
        """Blocks with an attention cache: `upsample_after` and all later ones."""
        return self.n_layers - self.upsample_after

    @property
    def state_parts(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Name and shape of each part of the fused streaming state, in their order in the vector."""
        history_a, history_b = self.subsampling_history
        return (
            ("attention_length", (1,)),
            ("samples", (HOP,)),
            ("attention", (self.cache_slots, self.attention_cache, self.d_model)),
            ("convolution", (self.n_layers, self.d_model, self.conv_kernel - 1)),
            ("subsampling1", (1, history_a, self.n_mels)),
            ("subsampling2", (self.subsampling_channels[0], history_b, self.mel_widths[0])),
            ("reduction", (self.d_model, 1)),
        )

    @property
    def state_offsets(self) -> dict[str, tuple[int, int]]:
        """First and past-the-last element of each state part in the fused vector."""
        offsets, start = {}, 0
        for name, shape in self.state_parts:
            size = 1
            for extent in shape:
                size *= extent
            offsets[name] = (start, start + size)
            start += size
        return offsets

    @property
    def state_size(self) -> int:
        """Elements of the fused streaming state of one stream."""
        return self.state_offsets["reduction"][1]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain numbers and lists, ready for TOML or JSON."""
        fields = dataclasses.asdict(self)
        fields["subsampling_channels"] = list(self.subsampling_channels)
        return fields

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> AcousticConfig:
        """Build a configuration from `to_dict`'s form; missing fields take T-one's values.

        Raises:
            AcousticError: for an unknown field or contradicting sizes.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - known)
        if unknown:
            raise AcousticError(f"unknown architecture field {unknown[0]!r}; known: {', '.join(sorted(known))}")
        return cls(**fields)


T_ONE = AcousticConfig()
"""The public T-one: 71.7 M values, a state of 219 729 numbers per stream."""
