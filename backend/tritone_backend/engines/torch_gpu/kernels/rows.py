# mypy: ignore-errors
"""Kernels that work on rows of the residual stream: norms, gating, the change to half the rate, the decoder."""

import triton
import triton.language as tl


@triton.jit
def _rms(value, d: tl.constexpr):
    return value * tl.rsqrt(tl.sum(value * value, 1) / d + 1e-16)[:, None]


@triton.jit(do_not_specialize=["rows"])
def normalise_kernel(x, bias, out, rows, d: tl.constexpr, block: tl.constexpr, tile: tl.constexpr):
    """One program per ``tile`` rows: out = rms(x + bias)."""
    r = tl.program_id(0) * tile + tl.arange(0, tile)
    c = tl.arange(0, block)
    keep = (r < rows)[:, None] & (c < d)[None, :]
    at = r[:, None] * d + c[None, :]
    value = tl.load(x + at, mask=keep, other=0.0).to(tl.float32)
    value += tl.load(bias + c, mask=c < d, other=0.0)[None, :]
    tl.store(out + at, _rms(value, d).to(out.dtype.element_ty), mask=keep)


@triton.jit(do_not_specialize=["rows"])
def close_kernel(
    x, bias, weight, saved, y, out, rows, d: tl.constexpr, block: tl.constexpr, tile: tl.constexpr,
    double: tl.constexpr, following: tl.constexpr,
):  # fmt: skip
    """One program per ``tile`` rows: y = rms(x + bias) * weight, out = rms(y) if ``following``.

    ``double``: every row gives two, each with its row of ``saved`` added.
    """
    r = tl.program_id(0) * tile + tl.arange(0, tile)
    c = tl.arange(0, block)
    keep = (r < rows)[:, None] & (c < d)[None, :]
    value = tl.load(x + r[:, None] * d + c[None, :], mask=keep, other=0.0).to(tl.float32)
    value += tl.load(bias + c, mask=c < d, other=0.0)[None, :]
    value = _rms(value, d) * tl.load(weight + c, mask=c < d, other=0.0)[None, :]
    if double:
        for which in tl.static_range(2):
            at = (2 * r + which)[:, None] * d + c[None, :]
            result = (value + tl.load(saved + at, mask=keep, other=0.0).to(tl.float32)).to(y.dtype.element_ty)
            tl.store(y + at, result, mask=keep)
            if following:
                tl.store(out + at, _rms(result.to(tl.float32), d).to(out.dtype.element_ty), mask=keep)
    else:
        at = r[:, None] * d + c[None, :]
        result = value.to(y.dtype.element_ty)
        tl.store(y + at, result, mask=keep)
        if following:
            tl.store(out + at, _rms(result.to(tl.float32), d).to(out.dtype.element_ty), mask=keep)


@triton.jit(do_not_specialize=["rows"])
def gate_kernel(wide, bias, out, rows, width: tl.constexpr, tile: tl.constexpr, block: tl.constexpr):
    """One program per ``tile`` x ``block`` elements: out = silu(left half) * right half of wide + bias."""
    r = tl.program_id(0) * tile + tl.arange(0, tile)
    c = tl.program_id(1) * block + tl.arange(0, block)
    inside = c < width
    keep = (r < rows)[:, None] & inside[None, :]
    at = r[:, None] * (2 * width) + c[None, :]
    gate = tl.load(wide + at, mask=keep, other=0.0).to(tl.float32)
    gate += tl.load(bias + c, mask=inside, other=0.0)[None, :]
    value = tl.load(wide + at + width, mask=keep, other=0.0).to(tl.float32)
    value += tl.load(bias + width + c, mask=inside, other=0.0)[None, :]
    result = gate * tl.sigmoid(gate) * value
    tl.store(out + r[:, None] * width + c[None, :], result.to(out.dtype.element_ty), mask=keep)


@triton.jit
def reduction_kernel(
    saved, history, row_slot, row_count, out, d: tl.constexpr, frames: tl.constexpr, block: tl.constexpr
):
    """One program per stream: half-rate row j gets frames 2j - 1, 2j and 2j + 1; the last frame is kept."""
    b = tl.program_id(0)
    c = tl.arange(0, block)
    inside = c < d
    slot = tl.load(row_slot + b).to(tl.int64)
    count = tl.load(row_count + b)
    source = saved + b * frames * d + c
    target = out + b * (frames // 2) * 3 * d + c
    # Plain vectors throughout, so that the thread that reads an element of the history also overwrites it.
    frame = tl.load(history + slot * d + c, mask=inside & (count > 0), other=0.0)
    for j in tl.static_range(frames // 2):
        tl.store(target + j * 3 * d, frame, mask=inside)
        even = tl.load(source + 2 * j * d, mask=inside, other=0.0)
        tl.store(target + j * 3 * d + d, even, mask=inside)
        frame = tl.load(source + (2 * j + 1) * d, mask=inside, other=0.0)
        tl.store(target + j * 3 * d + 2 * d, frame, mask=inside)
    tl.store(history + slot * d + c, frame, mask=inside)


@triton.jit(do_not_specialize=["rows"])
def classify_kernel(
    x,
    matrix,
    bias,
    logprobs,
    counts,
    row_slot,
    row_count,
    rows,
    d: tl.constexpr,
    classes: tl.constexpr,
    frames: tl.constexpr,
    tile: tl.constexpr,
    tile_k: tl.constexpr,
    block: tl.constexpr,
):
    """One program per ``tile`` frames: log-softmax of x @ matrix + bias; matrix is stored as [classes, d]."""
    r = tl.program_id(0) * tile + tl.arange(0, tile)
    live = r < rows
    n = tl.arange(0, block)
    total = tl.zeros((tile, block), tl.float32)
    for start in range(0, d, tile_k):
        k = start + tl.arange(0, tile_k)
        a = tl.load(x + r[:, None] * d + k[None, :], mask=live[:, None] & (k < d)[None, :], other=0.0)
        w = tl.load(matrix + n[None, :] * d + k[:, None], mask=(n < classes)[None, :] & (k < d)[:, None], other=0.0)
        total = tl.dot(a, w, total, input_precision="ieee")
    total += tl.load(bias + n, mask=n < classes, other=0.0)[None, :]
    total = tl.where((n < classes)[None, :], total, float("-inf"))
    total -= tl.max(total, 1)[:, None]
    result = total - tl.log(tl.sum(tl.exp(total), 1))[:, None]
    tl.store(logprobs + r[:, None] * classes + n[None, :], result, mask=live[:, None] & (n < classes)[None, :])
    first = live & (r % frames == 0)
    slot = tl.load(row_slot + r // frames, mask=first, other=0).to(tl.int64)
    count = tl.load(row_count + r // frames, mask=first, other=0)
    tl.store(counts + slot, count + 1, mask=first)
