"""The conformer block and its modules; the same code serves whole utterances and single chunks of a stream.

Which block gets which mask, cache and rate is decided in network.py.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tritone_acoustic.config import AcousticConfig

MASKED_SCORE = -10000.0


class RMSNorm(nn.Module):
    """Division by the root mean square, then a weight; float32 inside, result in the dtype of the weight.

    The public code adds 1e-8 to the root; adding its square under the root gives the same value for a zero
    vector and, to float32 precision, for any root above 1e-4, and is the form that inference engines fuse.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis of `x`."""
        x = x.float()
        root = torch.sqrt(x.square().mean(dim=-1, keepdim=True) + 1e-16)
        return (x / root * self.weight.float()).to(self.weight.dtype)


class FeedForward(nn.Module):
    """Gated feed-forward module: `linear2(silu(linear1(x)) * linearv(x))`."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.linear1 = nn.Linear(config.d_model, config.ff_dim)
        self.linear2 = nn.Linear(config.ff_dim, config.d_model)
        self.linearv = nn.Linear(config.d_model, config.ff_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., d_model] to [..., d_model]."""
        return self.linear2(F.silu(self.linear1(x)) * self.linearv(x))


class CausalConvolution(nn.Module):
    """Depthwise convolution over time without look-ahead (a module of its own to keep its public name)."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.conv = nn.Conv1d(config.d_model, config.d_model, config.conv_kernel, groups=config.d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, d_model, conv_kernel - 1 + T] to [B, d_model, T]."""
        return self.conv(x)


class ConvolutionModule(nn.Module):
    """Pointwise convolution, GLU, depthwise convolution, batch norm, SiLU, pointwise convolution."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        d = config.d_model
        self.past_frames = config.conv_kernel - 1
        self.pointwise_conv1 = nn.Conv1d(d, 2 * d, 1)
        self.depthwise_conv = CausalConvolution(config)
        self.batch_norm = nn.BatchNorm1d(d)
        self.pointwise_conv2 = nn.Conv1d(d, d, 1)

    def forward(self, x: Tensor, valid: Tensor | None, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """Convolve over time.

        Args:
            x: [B, T, d_model].
            valid: bool [B, T]: frames that are not padding; None if all are valid.
            past: [B, d_model, conv_kernel - 1], gated frames before `x`; None for zeros.

        Returns:
            [B, T, d_model], and the last `conv_kernel - 1` gated frames, [B, d_model, conv_kernel - 1].
        """
        # A convolution of kernel 1 is a linear layer on [B, T, d]: no transposes around it.
        gated = F.glu(F.linear(x, self.pointwise_conv1.weight.squeeze(2), self.pointwise_conv1.bias), dim=2)
        if valid is not None:
            gated = gated.masked_fill(~valid.unsqueeze(2), 0.0)
        columns = gated.transpose(1, 2)
        if past is None:
            columns = F.pad(columns, (self.past_frames, 0))
        else:
            columns = torch.cat([past.to(columns.dtype), columns], dim=2)
        mixed = F.silu(self.batch_norm(self.depthwise_conv(columns))).transpose(1, 2)
        out = F.linear(mixed, self.pointwise_conv2.weight.squeeze(2), self.pointwise_conv2.bias)
        return out, columns[:, :, -self.past_frames :]


class SelfAttention(nn.Module):
    """Attention of each chunk of frames to itself and to a fixed left context.

    Frames are cut into chunks and every chunk gets its window of keys, so cost and memory grow linearly with
    the length. Rotary positions count from the start of the chunk: only differences matter (Su et al., 2021).
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, config: AcousticConfig, block: int) -> None:
        super().__init__()
        d = config.d_model
        self.heads, self.head_dim, self.rotary = config.n_heads, config.head_dim, config.rotary
        self.chunk, self.left = config.block_chunk(block), config.left_context(block)
        self.owns_scores = config.owns_scores(block)
        self.linear_v = nn.Linear(d, d)
        self.linear_out = nn.Linear(d, d)
        self.dropout = nn.Dropout(config.dropout)
        if self.owns_scores:
            self.linear_q = nn.Linear(d, d)
            self.linear_k = nn.Linear(d, d)
            self.q_ln = nn.LayerNorm(self.head_dim)
            self.k_ln = nn.LayerNorm(self.head_dim)
            position = torch.arange(-self.left, self.chunk, dtype=torch.float32)
            rate = 10000.0 ** (-torch.arange(0, self.rotary, 2, dtype=torch.float32) / self.rotary)
            angle = position.unsqueeze(1) * rate
            self.register_buffer("cosine", angle.cos(), persistent=False)
            self.register_buffer("sine", angle.sin(), persistent=False)

    def forward(
        self, h: Tensor, shared: Tensor | None, visible: Tensor | None, cache: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            h: [B, T, d_model], normed block input; T is a whole number of chunks, one if `cache` is given.
            shared: float32 [B, chunks, heads, chunk, window], attention probabilities of the group's owner;
                ignored (may be None) in a block that owns its scores.
            visible: bool, broadcastable to the probabilities: which keys a query may see; None for all.
            cache: [B, left, d_model], values of `h` before this chunk; None for a whole utterance.

        Returns:
            [B, T, d_model], and the probabilities (before dropout) for the following blocks of the group.
        """
        memory = h if cache is None else torch.cat([cache.to(h.dtype), h], dim=1)
        values = self._windows(self.linear_v(memory), h.shape[1])
        probabilities = self._probabilities(h, memory, visible) if self.owns_scores else shared
        assert probabilities is not None, "a block without scores must follow the owner of its group"
        mixed = self.dropout(probabilities).to(values.dtype) @ values.transpose(2, 3)
        return self.linear_out(mixed.transpose(2, 3).reshape(h.shape)), probabilities

    def _probabilities(self, h: Tensor, memory: Tensor, visible: Tensor | None) -> Tensor:
        frames = h.shape[1]
        queries = self.linear_q(h).reshape(len(h), -1, self.chunk, self.heads, self.head_dim)
        queries = self._rotate(self.q_ln(queries), self.cosine[self.left :], self.sine[self.left :])
        keys = self._windows(self.linear_k(memory), frames)
        keys = self._rotate(self.k_ln(keys), self.cosine, self.sine)
        scores = queries.transpose(2, 3) @ keys.permute(0, 1, 3, 4, 2)
        scores = scores.float() * self.head_dim**-0.5
        if visible is None:
            return scores.softmax(dim=-1)
        probabilities = scores.masked_fill(~visible, MASKED_SCORE).softmax(dim=-1)
        return probabilities.masked_fill(~visible, 0.0)

    def _windows(self, x: Tensor, frames: int) -> Tensor:
        """Return the keys or values of each chunk with left context, [B, chunks, window, heads, dk]."""
        x = x.reshape(len(x), -1, self.chunk, self.heads, self.head_dim)
        if x.shape[1] * self.chunk > frames:  # a stream: the cache stands before the only chunk
            return x.flatten(1, 2).unsqueeze(1)
        chunks, before = x.shape[1], self.left // self.chunk
        padded = F.pad(x, (0, 0, 0, 0, 0, 0, before, 0))
        return torch.cat([padded[:, i : i + chunks] for i in range(before + 1)], dim=2)

    def _rotate(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Turn feature pairs (i, i + rotary / 2) of [B, chunks, frames, heads, dk] by their frame's angle."""
        cosine, sine = cosine.unsqueeze(1), sine.unsqueeze(1)
        half = self.rotary // 2
        u, v, rest = x[..., :half], x[..., half : self.rotary], x[..., self.rotary :]
        return torch.cat([u * cosine - v * sine, v * cosine + u * sine, rest], dim=-1)


class BlockOutput(NamedTuple):
    """What a block hands on.

    Attributes:
        x: [B, T, d_model].
        probabilities: attention probabilities for the next block of the same group.
        attended: [B, T, d_model], normed input of the attention: what the attention cache stores.
        convolved: [B, d_model, conv_kernel - 1], last gated frames: what the convolution history stores.
    """

    x: Tensor
    probabilities: Tensor
    attended: Tensor
    convolved: Tensor


class ConformerBlock(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, norm; a norm before every module."""

    def __init__(self, config: AcousticConfig, block: int) -> None:
        super().__init__()
        self.norm_feed_forward1 = RMSNorm(config.d_model)
        self.feed_forward1 = FeedForward(config)
        self.norm_conv = RMSNorm(config.d_model)
        self.conv = ConvolutionModule(config)
        self.norm_self_att = RMSNorm(config.d_model)
        self.self_attn = SelfAttention(config, block)
        self.norm_feed_forward2 = RMSNorm(config.d_model)
        self.feed_forward2 = FeedForward(config)
        self.norm_out = RMSNorm(config.d_model)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        shared: Tensor | None,
        visible: Tensor | None,
        valid: Tensor | None = None,
        cache: Tensor | None = None,
        past: Tensor | None = None,
    ) -> BlockOutput:
        """Run the block; see `SelfAttention.forward` and `ConvolutionModule.forward` for the arguments."""
        x = x + 0.5 * self.dropout(self.feed_forward1(self.norm_feed_forward1(x)))
        attended = self.norm_self_att(x)
        attention, probabilities = self.self_attn(attended, shared, visible, cache)
        x = x + self.dropout(attention)
        convolution, convolved = self.conv(self.norm_conv(x), valid, past)
        x = x + self.dropout(convolution)
        x = x + 0.5 * self.dropout(self.feed_forward2(self.norm_feed_forward2(x)))
        return BlockOutput(self.norm_out(x), probabilities, attended, convolved)
