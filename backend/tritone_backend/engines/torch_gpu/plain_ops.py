"""Every fused step of the network in plain PyTorch: the oracle of the GPU kernels, and the engine on a CPU.

Arithmetic is float32 inside a step and the workspace's dtype between steps, as in the kernels (kernels/).
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from tritone_backend.engines.torch_gpu.architecture import BINS, HOP, Architecture
from tritone_backend.engines.torch_gpu.pack import SAMPLE_SCALE, PackedWeights
from tritone_backend.engines.torch_gpu.pool import META, SlotPool, Workspace

GUARD = 2.0**-24
RMS_GUARD = 1e-16
LAYER_NORM_EPS = 1e-5


class Ops(Protocol):
    """The steps of the network. Each works on the first ``batch`` rows of the workspace."""

    def product(self, x: Tensor, matrix: Tensor, out: Tensor, *, add: bool = False) -> None:
        """Set out = x @ matrix, or add it to out."""

    def prepare(self, batch: int) -> None:
        """Unpack the inbox: slots and counts, hops of scaled samples, histories in front of the images."""

    def log_mel(self, batch: int) -> None:
        """Turn hop spectra into normalised log-mel frames, and keep the last ones."""

    def window(self, index: int, batch: int) -> None:
        """Run a subsampling convolution with its SiLU; keep the last frames of the first one."""

    def normalise(self, x: Tensor, bias: Tensor, out: Tensor) -> None:
        """Set out = rms(x + bias), without a weight: it is folded into the next matrix."""

    def close(self, x: Tensor, bias: Tensor, weight: Tensor, y: Tensor, out: Tensor | None) -> None:
        """Set y = rms(x + bias) * weight and out = rms(y); y may be x."""

    def upsample(self, x: Tensor, bias: Tensor, weight: Tensor, saved: Tensor, y: Tensor, out: Tensor | None) -> None:
        """As ``close``, each row twice, plus the rows saved before the rate reduction."""

    def expand(self, x: Tensor, matrix: Tensor, bias: Tensor, out: Tensor) -> None:
        """Set out = silu(first half) * second half of x @ matrix + bias."""

    def gate(self, wide: Tensor, bias: Tensor, out: Tensor) -> None:
        """Set out = silu(first half) * second half of wide + bias."""

    def depthwise(self, wide: Tensor, block: int, batch: int, out: Tensor) -> None:
        """GLU, causal depthwise convolution over the ring and the new frames, SiLU; the ring takes the new frames."""

    def attend(self, heads: Tensor, block: int, batch: int, out: Tensor) -> None:
        """Attention of one block; heads holds values, or queries, keys and values where the block owns scores."""

    def reduction_input(self, batch: int) -> None:
        """Gather the three frames that each half-rate frame comes from, and keep the last frame."""

    def classify(self, x: Tensor, batch: int) -> None:
        """Decode frames to log-probs and count the chunk in every slot."""


class PlainOps:
    """See :class:`Ops`. Rows of a batch must have distinct slots, except those of the scratch slot."""

    def __init__(self, arch: Architecture, packed: PackedWeights, pool: SlotPool, work: Workspace) -> None:
        self.arch, self.packed, self.pool, self.work = arch, packed, pool, work

    def product(self, x: Tensor, matrix: Tensor, out: Tensor, *, add: bool = False) -> None:
        """See :class:`Ops`."""
        if add:
            out.addmm_(x, matrix)
        else:
            torch.mm(x, matrix, out=out)

    def prepare(self, batch: int) -> None:
        """See :class:`Ops`."""
        work, pool = self.work, self.pool
        inbox = work.inbox[:batch]
        meta = inbox[:, :4].contiguous().view(torch.int32)
        slot, fresh = meta[:, 0].long(), meta[:, 1] != 0
        counts = torch.where(fresh, 0, pool.counts[slot])
        work.row_slot[:batch] = slot.int()
        work.row_count[:batch] = counts
        old = (counts > 0).view(-1, 1)
        samples = torch.cat([torch.where(old, pool.tail[slot], 0), inbox[:, META:]], dim=1)
        work.hops[:batch] = (samples.float() / SAMPLE_SCALE).view(batch, -1, HOP)
        pool.tail[slot] = samples[:, -HOP:]
        for image, history in ((work.mel, pool.mel), (work.image, pool.image)):
            image[:batch, : history.shape[1]] = torch.where(old.unsqueeze(2), history[slot], 0)

    def log_mel(self, batch: int) -> None:
        """See :class:`Ops`."""
        arch, packed, work = self.arch, self.packed, self.work
        spectrum = work.spectrum[:batch]
        parts = spectrum[:, :-1, : 2 * BINS] + spectrum[:, 1:, 2 * BINS :]
        real, imaginary = parts.chunk(2, dim=2)
        mel = torch.log((real * real + imaginary * imaginary) @ packed.filterbank + GUARD)
        history = arch.history[0]
        work.mel[:batch, history:] = (_rms(mel) * packed.mel_norm).to(work.mel.dtype)
        self.pool.mel[self._slots(batch)] = work.mel[:batch, -history:]

    def window(self, index: int, batch: int) -> None:
        """See :class:`Ops`."""
        arch, work, spec = self.arch, self.work, self.packed.filters[index]
        source = (work.mel, work.image)[index]
        groups, step, frames, row = self._window_sizes(index)
        windows = source.as_strided(
            (batch, frames, groups, spec.taps, spec.width),
            (source.stride(0), spec.stride * row, step, row, 1),
        )
        flat = windows.reshape(batch * frames * groups, spec.taps * spec.width)
        result = F.silu((flat.float() @ spec.matrix.float()) * spec.scale + spec.bias).view(batch, frames, -1)
        history = arch.history[1]
        if index == 0:
            work.image[:batch, history:] = result.to(work.image.dtype)
            self.pool.image[self._slots(batch)] = work.image[:batch, -history:]
        else:
            work.encoded[:batch] = result.to(work.encoded.dtype)

    def normalise(self, x: Tensor, bias: Tensor, out: Tensor) -> None:
        """See :class:`Ops`."""
        out.copy_(_rms(x.float() + bias))

    def close(self, x: Tensor, bias: Tensor, weight: Tensor, y: Tensor, out: Tensor | None) -> None:
        """See :class:`Ops`."""
        y.copy_(_rms(x.float() + bias) * weight)
        if out is not None:
            out.copy_(_rms(y.float()))

    def upsample(self, x: Tensor, bias: Tensor, weight: Tensor, saved: Tensor, y: Tensor, out: Tensor | None) -> None:
        """See :class:`Ops`."""
        rows = (_rms(x.float() + bias) * weight).repeat_interleave(2, dim=0)
        y.copy_(rows + saved.float())
        if out is not None:
            out.copy_(_rms(y.float()))

    def expand(self, x: Tensor, matrix: Tensor, bias: Tensor, out: Tensor) -> None:
        """See :class:`Ops`."""
        wide = self.work.rows("wide", len(x), matrix.shape[1])
        self.product(x, matrix, wide)
        self.gate(wide, bias, out)

    def gate(self, wide: Tensor, bias: Tensor, out: Tensor) -> None:
        """See :class:`Ops`."""
        gate, value = (wide.float() + bias).chunk(2, dim=1)
        out.copy_(F.silu(gate) * value)

    def depthwise(self, wide: Tensor, block: int, batch: int, out: Tensor) -> None:
        """See :class:`Ops`."""
        arch, weights = self.arch, self.packed.blocks[block]
        frames = arch.frames(block)
        gated = F.glu(wide.float() + weights.pointwise1_bias, dim=1).to(wide.dtype).view(batch, frames, -1)
        ring = self.pool.convolution[:, block]
        past = self._read_ring(ring, frames, batch)
        columns = torch.cat([past, gated], dim=1).float().transpose(1, 2)
        taps = weights.depthwise.T.unsqueeze(1)
        mixed = F.silu(F.conv1d(columns, taps, weights.depthwise_bias, groups=arch.d_model))
        out.copy_(mixed.transpose(1, 2).reshape(out.shape))
        self._write_ring(ring, gated, batch)

    def attend(self, heads: Tensor, block: int, batch: int, out: Tensor) -> None:
        """See :class:`Ops`."""
        arch, weights, work = self.arch, self.packed.blocks[block], self.work
        frames, d, count = arch.frames(block), arch.d_model, arch.n_heads
        heads = heads.view(batch, frames, -1)
        flat = work.probabilities.view(-1)[: batch * count * frames * frames]
        shared = flat.view(batch, count, frames, frames)
        values = heads[..., -d:]
        if weights.head_norms is None:
            weighted = shared.float()
        else:
            bias, rotation = weights.query_key_bias, weights.rotation
            assert bias is not None, "a block with head norms owns scores"
            assert rotation is not None, "a block with head norms owns scores"
            query = self._head_norm(heads[..., :d].float() + bias[:d], weights.head_norms[:2])
            key = self._head_norm(heads[..., d : 2 * d].float() + bias[d:], weights.head_norms[2:]).to(heads.dtype)
            left = arch.left_context(block)
            if left:
                ring = self.pool.attention[block]
                past = self._read_ring(ring, frames, batch).to(heads.dtype)
                stored = torch.stack([key.flatten(2), values], dim=2)
                self._write_ring(ring, stored, batch)
                key = torch.cat([past[:, :, 0].unflatten(2, (count, -1)), key], dim=1)
                values = torch.cat([past[:, :, 1], values], dim=1)
            cosine, sine = rotation
            query = _rotate(query, cosine[left:], sine[left:])
            scores = query.transpose(1, 2) @ _rotate(key.float(), cosine, sine).permute(0, 2, 3, 1)
            empty = left - self.work.row_count[:batch].clamp(max=left) * frames
            hidden = torch.arange(left + frames, device=heads.device) < empty.view(-1, 1, 1, 1)
            weighted = scores.masked_fill(hidden, float("-inf")).softmax(dim=3)
            if not left:
                shared.copy_(weighted)
        mixed = weighted @ values.float().unflatten(2, (count, -1)).transpose(1, 2)
        out.copy_(mixed.transpose(1, 2).reshape(out.shape))

    def reduction_input(self, batch: int) -> None:
        """See :class:`Ops`."""
        work, pool = self.work, self.pool
        slot = self._slots(batch)
        saved = work.saved[:batch]
        old = (work.row_count[:batch] > 0).view(-1, 1, 1)
        before = torch.where(old, pool.reduction[slot].unsqueeze(1), 0)
        rows = torch.cat([before, saved], dim=1)
        work.reduction_in[:batch] = torch.cat([rows[:, 0:-1:2], rows[:, 1::2], rows[:, 2::2]], dim=2)
        pool.reduction[slot] = saved[:, -1]

    def classify(self, x: Tensor, batch: int) -> None:
        """See :class:`Ops`."""
        logits = x.float() @ self.packed.decoder.float() + self.packed.decoder_bias
        self.work.logprobs[:batch] = logits.log_softmax(dim=1).view(batch, -1, self.arch.n_classes)
        self.pool.counts[self._slots(batch)] = self.work.row_count[:batch] + 1

    def _window_sizes(self, index: int) -> tuple[int, int, int, int]:
        """Return windows per frame, elements between windows, output frames, elements of an input frame."""
        arch = self.arch
        channels = (1, arch.subsampling_channels[0])[index]
        group = self.packed.filters[index].group
        width = (arch.n_mels, arch.mel_widths[0])[index]
        frames = (arch.chunk_mels, arch.chunk_frames)[index]
        return arch.mel_widths[index] // group, group * channels, frames, width * channels

    def _slots(self, batch: int) -> Tensor:
        return self.work.row_slot[:batch].long()

    def _read_ring(self, ring: Tensor, frames: int, batch: int) -> Tensor:
        """Return the ring of every row's slot, oldest frame first, zeros where no frame was written yet."""
        size = ring.shape[1]
        count = self.work.row_count[:batch].long().view(-1, 1)
        age = torch.arange(size, device=ring.device)
        past = ring[self._slots(batch).view(-1, 1), (count * frames + age) % size]
        empty = age < size - count * frames
        return past.masked_fill(empty.view(empty.shape + (1,) * (past.dim() - 2)), 0)

    def _write_ring(self, ring: Tensor, new: Tensor, batch: int) -> None:
        """Overwrite the oldest frames."""
        frames = new.shape[1]
        count = self.work.row_count[:batch].long().view(-1, 1)
        row = (count * frames + torch.arange(frames, device=ring.device)) % ring.shape[1]
        ring[self._slots(batch).view(-1, 1), row] = new

    def _head_norm(self, x: Tensor, affine: Tensor) -> Tensor:
        """Normalise each head of [B, T, d]; return [B, T, heads, head_dim]."""
        x = x.unflatten(2, (self.arch.n_heads, -1))
        return F.layer_norm(x, (self.arch.head_dim,), affine[0], affine[1], LAYER_NORM_EPS)


def _rms(x: Tensor) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + RMS_GUARD)


def _rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn feature pairs (i, i + half) of [B, T, heads, head_dim] by the angle of their frame."""
    half = cosine.shape[1]
    u, v, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    cosine, sine = cosine.unsqueeze(1), sine.unsqueeze(1)
    return torch.cat([u * cosine - v * sine, v * cosine + u * sine, rest], dim=-1)
