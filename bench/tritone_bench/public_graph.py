"""An equivalent of the public T-one graph, to compare engines with: the network written naively and traced by PyTorch.

Number formats and redundancies are those of the published graph; the product's own graph comes from its exporter.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tritone_acoustic.config import HOP, AcousticConfig
from tritone_acoustic.features import GUARD, mel_filterbank, spectrum_basis

SCALE = 32767.0
HIDDEN = -10000.0
NAMES = (("signal", "state"), ("logprobs", "state_next"))


class PublicStep(nn.Module):  # type: ignore[misc]  # torch is Any here
    """One chunk of every stream with float16 weights and activations.

    As in the published graph: norms and the front end in float32, softmax and log-softmax in float16, scores masked and
    normalised anew in every block, batch norms unfolded, the state joined in float32.

    Args:
        config: sizes.
        weights: parameters by public name, float32.
    """

    def __init__(self, config: AcousticConfig, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.config = config
        self._w = {name: value if value.ndim == 0 else value.half() for name, value in weights.items()}
        self.basis, self.mel = torch.from_numpy(spectrum_basis()), torch.from_numpy(mel_filterbank(config.n_mels))

    def forward(self, signal: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Take int32 [B, chunk_samples, 1] and float16 [B, state_size]; return log-probs and the next state."""
        config = self.config
        past = {
            name: state[:, start:stop].float().reshape(-1, *shape)
            for (name, shape), (start, stop) in zip(config.state_parts, config.state_offsets.values(), strict=True)
        }
        samples = (signal.squeeze(2).float() / SCALE).half()
        samples = torch.cat([past["samples"], samples.float()], dim=1)
        following = {"samples": samples[:, -HOP:]}
        x = self._pre_encode(self._log_mel(samples), past, following)
        length = past["attention_length"]
        scores, saved = x, x
        attention, convolution = [], []
        for block in range(config.n_layers):
            stem, left = f"encoder.layers.{block}", config.left_context(block)
            x = x + 0.5 * self._feed_forward(self._rms(x, f"{stem}.norm_feed_forward1"), f"{stem}.feed_forward1")
            h = self._rms(x, f"{stem}.norm_self_att")
            memory, hidden = h, None
            if left:
                cache = past["attention"][:, block - config.upsample_after, -left:].half()
                memory = torch.cat([cache, h], dim=1)
                attention.append(F.pad(memory[:, -left:], (0, 0, config.attention_cache - left, 0)).float())
                empty = torch.floor((config.attention_cache - length) * left / config.attention_cache)
                hidden = torch.arange(left + h.shape[1]) < empty
            if config.owns_scores(block):
                scores = self._scores(h, memory, f"{stem}.self_attn", left)
            x = x + self._mix(memory, scores, hidden, f"{stem}.self_attn")
            gated = self._gated(self._rms(x, f"{stem}.norm_conv"), f"{stem}.conv")
            columns = torch.cat([past["convolution"][:, block], gated.float()], dim=2)
            convolution.append(columns[:, :, 1 - config.conv_kernel :])
            x = x + self._convolution(columns.half(), f"{stem}.conv")
            x = x + 0.5 * self._feed_forward(self._rms(x, f"{stem}.norm_feed_forward2"), f"{stem}.feed_forward2")
            x = self._rms(x, f"{stem}.norm_out")
            if block == config.reduction_after:
                saved = x
                x = self._reduce(x, past["reduction"], following)
            if block == config.upsample_after:
                x = x.repeat_interleave(2, dim=1) + saved
        following |= {"attention": torch.stack(attention, 1), "convolution": torch.stack(convolution, 1)}
        following["attention_length"] = torch.clamp(length + config.chunk_frames, max=config.attention_cache)
        joined = torch.cat([following[name].flatten(1).float() for name in past], dim=1)
        classes = self._convolve1d(x.transpose(1, 2), "decoder.decoder_layers.0").transpose(1, 2)
        return classes.log_softmax(dim=-1).float(), joined.half()

    def _log_mel(self, samples: Tensor) -> Tensor:
        hops = samples.reshape(-1, self.config.chunk_mels + 1, HOP)
        frames = torch.cat([hops[:, :-1], hops[:, 1:]], dim=2)
        real, imaginary = (frames @ self.basis.T).chunk(2, dim=2)
        return torch.log((real * real + imaginary * imaginary) @ self.mel.T + GUARD).half()

    def _pre_encode(self, mel: Tensor, past: Mapping[str, Tensor], following: dict[str, Tensor]) -> Tensor:
        stem, history = "encoder.pre_encode", self.config.subsampling_history
        channels, widths = (1, self.config.subsampling_channels[0]), (self.config.n_mels, self.config.mel_widths[0])
        x = self._rms(mel, f"{stem}.pre_norm").unsqueeze(1)
        for index, stride in ((0, 1), (1, 3)):
            x = torch.cat(
                [past[f"subsampling{index + 1}"].reshape(-1, channels[index], history[index], widths[index]), x], 2
            )
            following[f"subsampling{index + 1}"] = x[:, :, -history[index] :]
            conv = f"{stem}.conv.{index}"
            x = F.conv2d(x.half(), self._w[f"{conv}.0.weight"], self._w[f"{conv}.0.bias"], stride=(stride, 1))
            x = F.silu(self._batch_norm(x, f"{conv}.1"))
        x = x.transpose(1, 2).flatten(2)
        return self._rms(x @ self._w[f"{stem}.out.weight"].T, f"{stem}.out_norm")

    def _rms(self, x: Tensor, stem: str) -> Tensor:
        wide = x.float()
        root = wide.norm(dim=-1, keepdim=True) / math.sqrt(x.shape[-1])
        return (self._w[f"{stem}.weight"].float() * (wide / (root + 1e-8))).half()

    def _linear(self, x: Tensor, stem: str) -> Tensor:
        return F.linear(x, self._w[f"{stem}.weight"], self._w[f"{stem}.bias"])

    def _convolve1d(self, x: Tensor, stem: str, **options: int) -> Tensor:
        return F.conv1d(x, self._w[f"{stem}.weight"], self._w[f"{stem}.bias"], **options)

    def _batch_norm(self, x: Tensor, stem: str) -> Tensor:
        mean, variance, weight, bias = (
            self._w[f"{stem}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, weight, bias)

    def _feed_forward(self, x: Tensor, stem: str) -> Tensor:
        gated = F.silu(self._linear(x, f"{stem}.linear1")) * self._linear(x, f"{stem}.linearv")
        return self._linear(gated, f"{stem}.linear2")

    def _heads(self, x: Tensor) -> Tensor:
        return x.reshape(-1, x.shape[1], self.config.n_heads, self.config.head_dim).transpose(1, 2)

    def _scores(self, h: Tensor, memory: Tensor, stem: str, left: int) -> Tensor:
        size, half = self.config.head_dim, self.config.rotary // 2
        sides = []
        for name, source, start in (("q", h, 0), ("k", memory, -left)):
            heads = self._heads(self._linear(source, f"{stem}.linear_{name}")).float()
            affine = (self._w[f"{stem}.{name}_ln.{kind}"].float() for kind in ("weight", "bias"))
            heads = F.layer_norm(heads, (size,), *affine)
            rate = 10000.0 ** (-torch.arange(half) / half)
            angle = torch.arange(start, h.shape[1])[:, None] * rate
            u, v, rest = heads.split([half, half, size - 2 * half], dim=3)
            turned = (u * angle.cos() - v * angle.sin(), v * angle.cos() + u * angle.sin(), rest)
            sides.append(torch.cat(turned, dim=3).half())
        return sides[0] @ sides[1].transpose(2, 3) / math.sqrt(size)

    def _mix(self, memory: Tensor, scores: Tensor, hidden: Tensor | None, stem: str) -> Tensor:
        if hidden is None:
            shares = scores.softmax(dim=-1)
        else:
            hidden = hidden[:, None, None]
            shares = scores.masked_fill(hidden, HIDDEN).softmax(dim=-1).masked_fill(hidden, 0.0)
        mixed = shares @ self._heads(self._linear(memory, f"{stem}.linear_v"))
        return self._linear(mixed.transpose(1, 2).flatten(2), f"{stem}.linear_out")

    def _gated(self, x: Tensor, stem: str) -> Tensor:
        return F.glu(self._convolve1d(x.transpose(1, 2), f"{stem}.pointwise_conv1"), dim=1)

    def _convolution(self, columns: Tensor, stem: str) -> Tensor:
        x = self._convolve1d(columns, f"{stem}.depthwise_conv.conv", groups=self.config.d_model)
        x = F.silu(self._batch_norm(x, f"{stem}.batch_norm"))
        return self._convolve1d(x, f"{stem}.pointwise_conv2").transpose(1, 2)

    def _reduce(self, x: Tensor, past: Tensor, following: dict[str, Tensor]) -> Tensor:
        columns = torch.cat([past, x.transpose(1, 2).float()], dim=2)
        following["reduction"] = columns[:, :, -1:]
        stem = "encoder.temportal_reduction"
        wide = self._convolve1d(columns.half(), f"{stem}.conv", stride=2, groups=self.config.d_model)
        return self._convolve1d(wide, f"{stem}.conv_pw").transpose(1, 2)


def write_public_graph(config: AcousticConfig, weights: Mapping[str, Any], path: Path) -> None:
    """Trace the step with a variable batch into an ONNX file of the public contract."""
    signal = torch.zeros(2, config.chunk_samples, 1, dtype=torch.int32)
    state = torch.zeros(2, config.state_size, dtype=torch.float16)
    axes = {name: {0: "batch"} for side in NAMES for name in side}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of every shape that it takes for a constant: they are
        torch.onnx.export(
            PublicStep(config, weights).eval(),
            (signal, state),
            str(path),
            input_names=list(NAMES[0]),
            output_names=list(NAMES[1]),
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
