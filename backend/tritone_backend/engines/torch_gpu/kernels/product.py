# mypy: ignore-errors
"""Kernels of matrix products: a plain one, and the feed-forward expansion with its gating in one.

The expansion's projections alone are 44 % of all arithmetic; here their 2 * width columns never reach memory.
"""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["rows"])
def gated_product_kernel(
    x,
    matrix,
    bias,
    out,
    rows,
    depth: tl.constexpr,
    width: tl.constexpr,
    tile_m: tl.constexpr,
    tile_n: tl.constexpr,
    tile_k: tl.constexpr,
    band: tl.constexpr,
):
    """One program per ``tile_m`` rows and ``tile_n`` gated columns; matrix is stored as [2 * width, depth].

    Programs run through ``band`` row tiles before the next column tile, so that both operands stay in L2.
    """
    program = tl.program_id(0)
    across: tl.constexpr = (width + tile_n - 1) // tile_n
    down = tl.cdiv(rows, tile_m)
    first = program // (band * across) * band
    height = tl.minimum(down - first, band)
    inside = program % (band * across)
    r = (first + inside % height) * tile_m + tl.arange(0, tile_m)
    n = inside // height * tile_n + tl.arange(0, tile_n)
    k = tl.arange(0, tile_k)
    live = r < rows
    wanted = n < width
    left = x + r[:, None] * depth + k[None, :]
    right = matrix + n[None, :] * depth + k[:, None]
    gate = tl.zeros((tile_m, tile_n), tl.float32)
    value = tl.zeros((tile_m, tile_n), tl.float32)
    for start in range(0, depth, tile_k):
        rest = start + k < depth
        a = tl.load(left + start, mask=live[:, None] & rest[None, :], other=0.0)
        w = tl.load(right + start, mask=wanted[None, :] & rest[:, None], other=0.0)
        gate = tl.dot(a, w, gate, input_precision="ieee")
        v = tl.load(right + width * depth + start, mask=wanted[None, :] & rest[:, None], other=0.0)
        value = tl.dot(a, v, value, input_precision="ieee")
    gate += tl.load(bias + n, mask=wanted, other=0.0)[None, :]
    value += tl.load(bias + width + n, mask=wanted, other=0.0)[None, :]
    result = (gate * tl.sigmoid(gate) * value).to(out.dtype.element_ty)
    tl.store(out + r[:, None] * width + n[None, :], result, mask=live[:, None] & wanted[None, :])


@triton.jit(do_not_specialize=["rows"])
def product_kernel(
    x,
    matrix,
    out,
    rows,
    depth: tl.constexpr,
    width: tl.constexpr,
    depth_stride: tl.constexpr,
    width_stride: tl.constexpr,
    add: tl.constexpr,
    tile_m: tl.constexpr,
    tile_n: tl.constexpr,
    tile_k: tl.constexpr,
):
    """One program per ``tile_m`` rows and ``tile_n`` columns: out = x @ matrix, or out += it with ``add``.

    Matrix is [depth, width] with the strides given. Sums run in one order whatever the number of rows.
    """
    r = tl.program_id(0) * tile_m + tl.arange(0, tile_m)
    n = tl.program_id(1) * tile_n + tl.arange(0, tile_n)
    k = tl.arange(0, tile_k)
    live = r < rows
    wanted = n < width
    left = x + r[:, None] * depth + k[None, :]
    right = matrix + n[None, :] * width_stride + k[:, None] * depth_stride
    total = tl.zeros((tile_m, tile_n), tl.float32)
    for start in range(0, depth, tile_k):
        rest = start + k < depth
        a = tl.load(left + start, mask=live[:, None] & rest[None, :], other=0.0)
        w = tl.load(right + start * depth_stride, mask=wanted[None, :] & rest[:, None], other=0.0)
        total = tl.dot(a, w, total, input_precision="ieee")
    at = out + r[:, None] * width + n[None, :]
    keep = live[:, None] & wanted[None, :]
    if add:
        total += tl.load(at, mask=keep, other=0.0).to(tl.float32)
    tl.store(at, total.to(out.dtype.element_ty), mask=keep)
