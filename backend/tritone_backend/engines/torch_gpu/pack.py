"""Weights rewritten for inference: norms, batch norms and constants folded, projections joined, filters laid out.

All folds are exact in real arithmetic and done in float64; the step that uses them is network.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tritone_backend.engines.torch_gpu.architecture import BINS, HOP, KERNELS, Architecture

BATCH_NORM_EPS = 1e-5
SAMPLE_SCALE = 32767.0
PRE_EMPHASIS = 0.97
_WINDOW_STEP = 32
"""Window widths are padded to a multiple of this, so that a tensor-core tile never straddles two time taps."""


@dataclass(frozen=True)
class WindowFilter:
    """A 2-D convolution as one matrix product over windows of several neighbouring outputs.

    ``group`` outputs along mel share one input window of ``group + kernel - 1`` columns, so a row of the product
    is a contiguous piece of a channels-innermost image per time tap.

    Attributes:
        matrix: [taps * width, group * channels_out]; rows past the window are zero. The batch norm is not folded in:
            shipped weights are exact in float16, and rounding them anew made nine tenths of the engine's error.
        scale: float32 [group * channels_out], of the batch norm; result = silu(product * scale + bias).
        bias: float32 [group * channels_out].
        taps: time taps.
        width: elements of one window, padded.
        group: outputs along mel per window.
        stride: time stride.
    """

    matrix: Tensor
    scale: Tensor
    bias: Tensor
    taps: int
    width: int
    group: int
    stride: int


@dataclass(frozen=True)
class BlockWeights:
    """One conformer block. Matrices are [in, out]; biases are float32.

    Attributes:
        biases: float32 [5, d]: what is missing from the stored residual stream before each of the four modules
            and before the output norm. Output biases are constant, so they are never added to the stream.
    """

    up: tuple[Tensor, Tensor]
    up_bias: tuple[Tensor, Tensor]
    down: tuple[Tensor, Tensor]
    attention_in: Tensor
    query_key_bias: Tensor | None
    head_norms: Tensor | None
    rotation: Tensor | None
    attention_out: Tensor
    pointwise1: Tensor
    pointwise1_bias: Tensor
    depthwise: Tensor
    depthwise_bias: Tensor
    pointwise2: Tensor
    biases: Tensor
    norm_out: Tensor


@dataclass(frozen=True)
class PackedWeights:
    """The whole network, on one device."""

    spectrum: Tensor
    filterbank: Tensor
    mel_norm: Tensor
    filters: tuple[WindowFilter, WindowFilter]
    encode: Tensor
    encode_norm: Tensor
    zero_bias: Tensor
    blocks: tuple[BlockWeights, ...]
    reduction: Tensor
    decoder: Tensor
    decoder_bias: Tensor


class Packer:
    """Folds the parameters of one network.

    Args:
        arch: sizes.
        weights: parameters by public name.
        device: where the result goes.
        dtype: dtype of the matrices.
    """

    def __init__(self, arch: Architecture, weights: Mapping[str, Tensor], device: Any, dtype: torch.dtype) -> None:
        self.arch, self.device, self.dtype = arch, device, dtype
        self._w = weights

    def pack(self) -> PackedWeights:
        """Return everything; raises KeyError for a missing parameter."""
        arch, stem = self.arch, "encoder.pre_encode"
        c2, w2 = arch.subsampling_channels[1], arch.mel_widths[1]
        encode = self._get(f"{stem}.out.weight").reshape(arch.d_model, c2, w2).transpose(1, 2).flatten(1)
        return PackedWeights(
            spectrum=self._float(torch.from_numpy(spectrum_pair())),
            filterbank=self._float(torch.from_numpy(mel_filterbank(arch.n_mels)).T),
            mel_norm=self._float(self._get(f"{stem}.pre_norm.weight")),
            filters=(self._filter(0, 1), self._filter(1, 3)),
            encode=self._matrix(encode),
            encode_norm=self._float(self._get(f"{stem}.out_norm.weight")),
            zero_bias=self._float(torch.zeros(arch.d_model)),
            blocks=tuple(self._block(i) for i in range(arch.n_layers)),
            reduction=self._matrix(self._reduction()[0]),
            decoder=self._matrix(self._get("decoder.decoder_layers.0.weight").squeeze(2)),
            decoder_bias=self._float(self._get("decoder.decoder_layers.0.bias")),
        )

    def _block(self, index: int) -> BlockWeights:
        arch, stem = self.arch, f"encoder.layers.{index}"
        ups, up_biases, downs, down_biases = [], [], [], []
        for which in (1, 2):
            ff, norm = f"{stem}.feed_forward{which}", self._get(f"{stem}.norm_feed_forward{which}.weight")
            joined = torch.cat([self._get(f"{ff}.linear1.weight"), self._get(f"{ff}.linearv.weight")])
            ups.append(self._matrix(joined * norm))
            up_biases.append(self._float(torch.cat([self._get(f"{ff}.linear1.bias"), self._get(f"{ff}.linearv.bias")])))
            downs.append(self._matrix(0.5 * self._get(f"{ff}.linear2.weight")))
            down_biases.append(0.5 * self._get(f"{ff}.linear2.bias"))

        att = f"{stem}.self_attn"
        owns = arch.owns_scores(index)
        parts = ("q", "k", "v") if owns else ("v",)
        joined = torch.cat([self._get(f"{att}.linear_{part}.weight") for part in parts])
        out = self._get(f"{att}.linear_out.weight")
        # Probabilities sum to one, so the bias of the values passes through to the output.
        attention_bias = out @ self._get(f"{att}.linear_v.bias") + self._get(f"{att}.linear_out.bias")

        conv = f"{stem}.conv"
        scale, shift = self._batch_norm(f"{conv}.batch_norm")
        taps = self._get(f"{conv}.depthwise_conv.conv.weight").squeeze(1)
        first = self._get(f"{conv}.pointwise_conv1.weight").squeeze(2)
        after_reduction = index == arch.reduction_after + 1
        start = (
            self._reduction()[1]
            if after_reduction
            else torch.zeros(arch.d_model, dtype=torch.float64, device=self.device)
        )
        steps = (start, down_biases[0], attention_bias, self._get(f"{conv}.pointwise_conv2.bias"), down_biases[1])
        return BlockWeights(
            up=(ups[0], ups[1]),
            up_bias=(up_biases[0], up_biases[1]),
            down=(downs[0], downs[1]),
            attention_in=self._matrix(joined * self._get(f"{stem}.norm_self_att.weight")),
            query_key_bias=self._query_key(att, "linear_{}.bias") if owns else None,
            head_norms=self._head_norms(att) if owns else None,
            rotation=self._float(rotation(arch, index)) if owns else None,
            attention_out=self._matrix(out),
            pointwise1=self._matrix(first * self._get(f"{stem}.norm_conv.weight")),
            pointwise1_bias=self._float(self._get(f"{conv}.pointwise_conv1.bias")),
            depthwise=self._float((taps * scale.unsqueeze(1)).T),
            depthwise_bias=self._float(self._get(f"{conv}.depthwise_conv.conv.bias") * scale + shift),
            pointwise2=self._matrix(self._get(f"{conv}.pointwise_conv2.weight").squeeze(2)),
            biases=self._float(torch.stack(steps).cumsum(0)),
            norm_out=self._float(self._get(f"{stem}.norm_out.weight")),
        )

    def _query_key(self, stem: str, pattern: str) -> Tensor:
        return self._float(torch.cat([self._get(f"{stem}.{pattern.format(part)}") for part in "qk"]))

    def _head_norms(self, stem: str) -> Tensor:
        """Return float32 [4, head_dim]: weight and bias of queries (with 1/sqrt(head_dim)), then of keys."""
        scale = self.arch.head_dim**-0.5
        rows = [self._get(f"{stem}.q_ln.{kind}") * scale for kind in ("weight", "bias")]
        rows += [self._get(f"{stem}.k_ln.{kind}") for kind in ("weight", "bias")]
        return self._float(torch.stack(rows))

    def _reduction(self) -> tuple[Tensor, Tensor]:
        """Return the two linear layers of the rate reduction as one, [d, 3 * d] (oldest frame first), and its bias."""
        d, stem = self.arch.d_model, "encoder.temportal_reduction"
        pointwise = self._get(f"{stem}.conv_pw.weight").squeeze(2)
        taps = self._get(f"{stem}.conv.weight").reshape(d, 4, 3)
        dense = torch.einsum("ocm,cmk->okc", pointwise.reshape(d, d, 4), taps).reshape(d, 3 * d)
        bias = pointwise @ self._get(f"{stem}.conv.bias") + self._get(f"{stem}.conv_pw.bias")
        return dense, bias

    def _filter(self, index: int, stride: int) -> WindowFilter:
        stem = f"encoder.pre_encode.conv.{index}"
        weight = self._get(f"{stem}.0.weight")
        scale, shift = self._batch_norm(f"{stem}.1")
        bias = self._get(f"{stem}.0.bias") * scale + shift
        outputs, inputs, taps, span = weight.shape
        group = next(g for g in ((4, 2, 1) if inputs == 1 else (2, 1)) if self.arch.mel_widths[index] % g == 0)
        window = (group + KERNELS[index][1] - 1) * inputs
        width = -(-window // _WINDOW_STEP) * _WINDOW_STEP
        matrix = torch.zeros(taps, width, group, outputs, dtype=torch.float64, device=self.device)
        for member in range(group):
            rows = weight.permute(2, 3, 1, 0).reshape(taps, span * inputs, outputs)
            matrix[:, member * inputs : (member + span) * inputs, member] = rows
        return WindowFilter(
            matrix=matrix.reshape(taps * width, group * outputs).to(self.device, self.dtype).contiguous(),
            scale=self._float(scale.repeat(group)),
            bias=self._float(bias.repeat(group)),
            taps=taps,
            width=width,
            group=group,
            stride=stride,
        )

    def _batch_norm(self, stem: str) -> tuple[Tensor, Tensor]:
        scale = self._get(f"{stem}.weight") / torch.sqrt(self._get(f"{stem}.running_var") + BATCH_NORM_EPS)
        return scale, self._get(f"{stem}.bias") - self._get(f"{stem}.running_mean") * scale

    def _get(self, name: str) -> Tensor:
        return self._w[name].to(self.device, torch.float64)

    def _float(self, value: Tensor) -> Tensor:
        return value.float().contiguous().to(self.device)

    def _matrix(self, value: Tensor) -> Tensor:
        """Return [in, out] as a transposed view: rows of the stored matrix are contiguous along `in`."""
        return value.to(self.device, self.dtype).contiguous().T


def rotation(arch: Architecture, block: int) -> Tensor:
    """Return cosines and sines, [2, left + frames, rotary / 2], of positions -left .. frames - 1 (Su et al., 2021)."""
    position = torch.arange(-arch.left_context(block), arch.frames(block), dtype=torch.float32)
    rate = 10000.0 ** (-torch.arange(0, arch.rotary, 2, dtype=torch.float32) / arch.rotary)
    angle = position.unsqueeze(1) * rate
    return torch.stack([angle.cos(), angle.sin()])


def spectrum_pair() -> np.ndarray[Any, Any]:
    """Return float32 [HOP, 4 * BINS]: a hop's part in the spectrum of the frame it begins, then of the one it ends.

    Pre-emphasis inside the frame, the symmetric Hann window and the transform are linear, so they are one matrix;
    a frame is two neighbouring hops, so its spectrum is a sum over the two and no frame is ever copied.
    """
    size = 2 * HOP
    sample = np.arange(size)
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * sample / (size - 1))).astype(np.float32).astype(np.float64)
    angle = 2 * np.pi * np.outer(np.arange(BINS), sample) / size
    basis = np.concatenate([np.cos(angle), -np.sin(angle)]) * hann
    emphasised = basis.copy()
    emphasised[:, :-1] -= PRE_EMPHASIS * basis[:, 1:]
    emphasised[:, 0] -= PRE_EMPHASIS * basis[:, 0]
    pair: np.ndarray[Any, Any] = np.concatenate([emphasised[:, :HOP].T, emphasised[:, HOP:].T], axis=1)
    return pair.astype(np.float32)


def mel_filterbank(n_mels: int) -> np.ndarray[Any, Any]:
    """Return float32 [n_mels, BINS]: triangles of unit area on the Slaney scale (Auditory Toolbox, 1998)."""
    knee, step, log_step = 1000.0, 200.0 / 3.0, np.log(6.4) / 27.0
    mels = np.linspace(0.0, knee / step + np.log(4000.0 / knee) / log_step, n_mels + 2)
    edges = np.where(mels < knee / step, mels * step, knee * np.exp((mels - knee / step) * log_step))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = 50.0 * np.arange(BINS)
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    filters: np.ndarray[Any, Any] = np.maximum(triangles, 0.0) * 2.0 / (high - low)
    return filters.astype(np.float32)
