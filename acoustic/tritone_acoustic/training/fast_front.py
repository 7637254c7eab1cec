"""The front convolutions and norms in a form that trains faster; same parameters, same arithmetic.

The modules themselves are in the network; a test holds both forms together.
"""

from __future__ import annotations

import types
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tritone_acoustic.blocks import RMSNorm
from tritone_acoustic.network import AcousticModel
from tritone_acoustic.subsampling import PreEncode

_STRIDE = 3


def banded(weight: Tensor, inputs: int, padding: int = 0) -> Tensor:
    """Spreads a convolution kernel over the mel axis: the convolution becomes one matrix product.

    Two-dimensional convolutions with a handful of channels leave a tensor core mostly idle, their gradients even
    more so; the product with a banded matrix does four times the arithmetic at a multiple of the rate.

    Args:
        weight: [C_out, C_in, K_time, K_mel].
        inputs: width of the mel axis before the convolution.
        padding: zero taps to put before the first one.

    Returns:
        [(K_time + padding) * C_in * inputs, C_out * outputs] with outputs = inputs - K_mel + 1.
    """
    out, channels, taps, width = weight.shape
    outputs = inputs - width + 1
    # Rows of inputs + 1 values read back as rows of `inputs` values shift by one place per row.
    rows = F.pad(weight.unsqueeze(3).expand(-1, -1, -1, outputs, -1), (0, inputs + 1 - width))
    shifted = rows.flatten(3)[..., : outputs * inputs].reshape(out, channels, taps, outputs, inputs)
    shifted = F.pad(shifted, (0, 0, 0, 0, padding, 0))
    return shifted.permute(2, 1, 4, 0, 3).reshape(-1, out * outputs)


class _BatchNormFunction(torch.autograd.Function):
    """Batch normalisation of [B, T, C, F] over all but C, with reductions that fill the device.

    PyTorch's own kernels use one thread block per channel, and there are only 16 channels.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the normalised float32 tensor, the mean and the biased variance [C]."""
        count = x.numel() // x.shape[2]
        mean = x.sum((0, 1, 3), dtype=torch.float32) / count
        power = torch.linalg.vector_norm(x, 2, (0, 1, 3), dtype=torch.float32).square() / count
        variance = (power - mean.square()).clamp(min=0.0)
        root = torch.rsqrt(variance + eps)
        scale = weight * root
        ctx.save_for_backward(x, mean, root, scale)
        ctx.mark_non_differentiable(mean, variance)
        shift = bias - mean * scale
        return torch.addcmul(shift[:, None], x.float(), scale[:, None]), mean, variance

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_unused: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Returns the gradients of the input, the weight and the bias."""
        x, mean, root, scale = ctx.saved_tensors
        count = x.numel() // x.shape[2]
        total = grad.sum((0, 1, 3), dtype=torch.float32)
        product = (grad * x).sum((0, 1, 3), dtype=torch.float32)
        slope = root * (product - mean * total)
        factor = -scale * root * slope / count
        constant = -scale * total / count - factor * mean
        inner = torch.addcmul(constant[:, None], grad, scale[:, None])
        return torch.addcmul(inner, x.float(), factor[:, None]).to(x.dtype), slope, total, None


def batch_norm(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Normalises in training mode and updates the running statistics of a module.

    Args:
        x: [B, T, C, F].
        norm: owner of weight, bias and statistics.

    Returns:
        float32 [B, T, C, F].
    """
    result, mean, variance = _BatchNormFunction.apply(x, norm.weight, norm.bias, norm.eps)
    with torch.no_grad():
        count = x.numel() // x.shape[2]
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert norm.momentum is not None
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked += 1
    normalised: Tensor = result
    return normalised


def _pre_encode(
    self: PreEncode, mel: Tensor, past: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
    """Stands in for PreEncode.forward on whole rows in training mode; a row is a whole number of frames."""
    if past is not None or not self.training or mel.shape[1] % _STRIDE:
        return PreEncode.forward(self, mel, past)
    first, second = self.conv[0][0], self.conv[1][0]
    frames, bands = mel.shape[1], mel.shape[2]
    kind = mel.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else mel.dtype
    x = F.pad(self.pre_norm(mel).to(dtype), (0, 0, self.history[0], 0))
    windows = torch.cat([x[:, tap : tap + frames] for tap in range(first.weight.shape[2])], dim=2)
    y = _banded_linear(windows, first, bands)
    y = F.silu(batch_norm(y, self.conv[0][1])).to(dtype)

    # Groups of three frames; a window of 11 frames is the end of four groups.
    groups = F.pad(y.flatten(2), (0, 0, 9, 0)).reshape(len(mel), -1, _STRIDE * y.shape[2] * y.shape[3])
    count = frames // _STRIDE
    windows = torch.cat([groups[:, group : group + count] for group in range(4)], dim=2)
    z = _banded_linear(windows, second, y.shape[3], padding=1)
    z = F.silu(batch_norm(z, self.conv[1][1]))
    return self.out_norm(self.out(z.flatten(2))), None


def _banded_linear(windows: Tensor, layer: nn.Conv2d, inputs: int, padding: int = 0) -> Tensor:
    """Applies a convolution layer to windows [B, T, taps * C_in * inputs], giving [B, T, C_out, outputs]."""
    assert layer.bias is not None
    matrix = banded(layer.weight, inputs, padding)
    bias = layer.bias.repeat_interleave(matrix.shape[1] // layer.out_channels)
    return F.linear(windows, matrix.T, bias).unflatten(2, (layer.out_channels, -1))


def _rms_norm(self: RMSNorm, x: Tensor) -> Tensor:
    """Stands in for RMSNorm.forward: one kernel instead of seven."""
    return F.rms_norm(x.float(), (x.shape[-1],), self.weight, 1e-16)


def speed_up(model: AcousticModel) -> None:
    """Replaces the forward functions of the front and of all RMS norms of one model object.

    Args:
        model: to be trained; its parameters and names stay as they are.
    """
    front = model.encoder.pre_encode
    setattr(front, "forward", types.MethodType(_pre_encode, front))  # noqa: B010  (an instance, not its class)
    for module in model.modules():
        if isinstance(module, RMSNorm):
            setattr(module, "forward", types.MethodType(_rms_norm, module))  # noqa: B010
