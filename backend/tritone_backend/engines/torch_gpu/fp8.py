"""The option of 8-bit floating-point products (e4m3) for the feed-forward expansions, 44 % of all arithmetic.

Their input is a norm without weight: no element exceeds the root of the width, so it needs no scale and no calibration.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

KIND = torch.float8_e4m3fn
LARGEST = 448.0
"""Largest finite value of e4m3 (OCP 8-bit floating point, 2023)."""


@dataclass(frozen=True)
class Fp8Matrix:
    """A matrix in 8 bits with one scale.

    Attributes:
        values: e4m3 [in, out], a transposed view of contiguous memory, as the tensor cores want it.
        scale: float32 scalar; values * scale is the matrix.
        one: float32 scalar, the scale of inputs.
    """

    values: Tensor
    scale: Tensor
    one: Tensor

    @classmethod
    def round(cls, matrix: Tensor) -> Fp8Matrix:
        """Round a matrix [in, out] of any float type."""
        exact = matrix.float()
        scale = exact.abs().max().clamp(min=1e-30) / LARGEST
        values = (exact / scale).clamp(-LARGEST, LARGEST).T.contiguous().to(KIND).T
        return cls(values, scale, torch.ones_like(scale))

    def product(self, x: Tensor, out: Tensor) -> None:
        """Set out = x @ matrix.

        Args:
            x: e4m3 [rows, in].
            out: float16 or bfloat16 [rows, out]; sums are float32 before they are rounded to it.
        """
        if x.is_cuda:
            torch._scaled_mm(x, self.values, self.one, self.scale, out_dtype=out.dtype, out=out)
        else:  # the plain form, for checks
            out.copy_(x.float() @ self.values.float() * self.scale)
