"""Matrix products whose rows do not depend on how many rows there are: cuBLAS where that holds, else our own kernel.

cuBLAS chooses an algorithm by the number of rows, and not all of them add in the same order. For the large
architecture those it chooses agree in every bit; for small ones they do not, and a stream's words would depend on how
many others speak.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton  # type: ignore[import-not-found,import-untyped,unused-ignore]
from torch import Tensor

from tritone_backend.engines.torch_gpu.architecture import Architecture
from tritone_backend.engines.torch_gpu.kernels.product import product_kernel
from tritone_backend.engines.torch_gpu.pack import PackedWeights

TILES = {torch.float16: (64, 64, 64, 4, 3), torch.float32: (64, 64, 32, 4, 2)}
"""Rows, columns and depth of a tile, warps and stages of our kernel."""
_Key = tuple[int, int, torch.dtype, bool]


class Products:
    """Products of one network. Looks once which of them cuBLAS makes alike for every batch size.

    Args:
        arch: sizes.
        packed: whose matrices are multiplied.
        batches: sizes that steps are made with, which are compared.
        always_own: never ask cuBLAS, for checks.
    """

    def __init__(
        self, arch: Architecture, packed: PackedWeights, batches: Sequence[int], *, always_own: bool = False
    ) -> None:
        self._own: set[_Key] = set()
        for matrix, add, most, least in _uses(arch, packed):
            if always_own or (matrix.is_cuda and not _steady(matrix, add, batches, most, least)):
                self._own.add(_key(matrix, add))

    @property
    def own(self) -> int:
        """How many kinds of product run through our kernel."""
        return len(self._own)

    def run(self, x: Tensor, matrix: Tensor, out: Tensor, *, add: bool = False) -> None:
        """Set out = x @ matrix, or add it to out.

        Args:
            x: [rows, depth], contiguous.
            matrix: [depth, width].
            out: [rows, width], contiguous.
            add: whether out holds something to add to.
        """
        if _key(matrix, add) in self._own:
            _own_product(x, matrix, out, add=add)
        elif add:
            out.addmm_(x, matrix)
        else:
            torch.mm(x, matrix, out=out)


def _uses(arch: Architecture, packed: PackedWeights) -> list[tuple[Tensor, bool, int, int]]:
    """Every kind of product once: a matrix, whether it adds, and the most and least rows of one chunk."""
    frames = arch.chunk_frames
    uses = [
        (packed.spectrum, False, arch.chunk_mels + 1, arch.chunk_mels + 1),
        (packed.encode, False, frames, frames),
        (packed.reduction, False, frames // 2, frames // 2),
    ]
    for block in packed.blocks:
        plain = (*block.up, block.attention_in, block.pointwise1)
        uses += [(matrix, False, frames, frames // 2) for matrix in plain]
        uses += [(matrix, True, frames, frames // 2) for matrix in (*block.down, block.attention_out, block.pointwise2)]
    return list({_key(matrix, add): (matrix, add, most, least) for matrix, add, most, least in uses}.values())


def _key(matrix: Tensor, add: bool) -> _Key:
    return matrix.shape[0], matrix.shape[1], matrix.dtype, add


def _steady(matrix: Tensor, add: bool, batches: Sequence[int], most: int, least: int) -> bool:
    """Whether cuBLAS gives the first rows the same bits in every batch."""
    rows = sorted({batch * size for batch in batches for size in (most, least)})
    if len(rows) < 2:
        return True
    x = torch.randn(rows[-1], matrix.shape[0], device=matrix.device).to(matrix.dtype)
    before = torch.randn(rows[-1], matrix.shape[1], device=matrix.device).to(matrix.dtype)

    def product(count: int) -> Tensor:
        return torch.addmm(before[:count], x[:count], matrix) if add else torch.mm(x[:count], matrix)

    expected = product(rows[-1])
    return all(torch.equal(product(count), expected[:count]) for count in rows[:-1])


def _own_product(x: Tensor, matrix: Tensor, out: Tensor, *, add: bool) -> None:
    rows, depth = x.shape
    width = matrix.shape[1]
    tile_m, tile_n, tile_k, warps, stages = TILES[matrix.dtype]
    product_kernel[(triton.cdiv(rows, tile_m), triton.cdiv(width, tile_n))](
        x,
        matrix,
        out,
        rows,
        depth=depth,
        width=width,
        depth_stride=matrix.stride(0),
        width_stride=matrix.stride(1),
        add=add,
        tile_m=tile_m,
        tile_n=tile_n,
        tile_k=tile_k,
        num_warps=warps,
        num_stages=stages,
    )
