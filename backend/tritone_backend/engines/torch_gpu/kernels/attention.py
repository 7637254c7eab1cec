# mypy: ignore-errors
"""Kernels of the tiny attentions, one program per stream and head: with own scores (and a cache), or shared ones."""

import triton
import triton.language as tl


@triton.jit
def _head_part(source, bias, rows, live, columns, wanted, stride: tl.constexpr):
    """Load [rows, columns] of one head in float32, bias added, zero where masked."""
    keep = live[:, None] & wanted[None, :]
    value = tl.load(source + rows[:, None] * stride + columns[None, :], mask=keep, other=0.0).to(tl.float32)
    value += tl.load(bias + columns, mask=wanted, other=0.0)[None, :]
    return tl.where(keep, value, 0.0)


@triton.jit
def _normed_head(
    source, bias, affine, rows, live, stride: tl.constexpr, size: tl.constexpr, half: tl.constexpr,
    half_block: tl.constexpr, rest: tl.constexpr, rest_block: tl.constexpr,
):  # fmt: skip
    """LayerNorm over one head; returns its three parts: both halves of the rotated features, and the others."""
    i = tl.arange(0, half_block)
    j = tl.arange(0, rest_block)
    u = _head_part(source, bias, rows, live, i, i < half, stride)
    v = _head_part(source, bias, rows, live, half + i, i < half, stride)
    w = _head_part(source, bias, rows, live, 2 * half + j, j < rest, stride)
    mean = (tl.sum(u, 1) + tl.sum(v, 1) + tl.sum(w, 1)) / size
    rotated = (i < half)[None, :]
    plain = (j < rest)[None, :]
    u = tl.where(rotated, u - mean[:, None], 0.0)
    v = tl.where(rotated, v - mean[:, None], 0.0)
    w = tl.where(plain, w - mean[:, None], 0.0)
    root = tl.rsqrt((tl.sum(u * u, 1) + tl.sum(v * v, 1) + tl.sum(w * w, 1)) / size + 1e-5)[:, None]
    u = u * root * tl.load(affine + i, mask=i < half, other=0.0)[None, :]
    v = v * root * tl.load(affine + half + i, mask=i < half, other=0.0)[None, :]
    w = w * root * tl.load(affine + 2 * half + j, mask=j < rest, other=0.0)[None, :]
    u += tl.load(affine + size + i, mask=i < half, other=0.0)[None, :]
    v += tl.load(affine + size + half + i, mask=i < half, other=0.0)[None, :]
    w += tl.load(affine + size + 2 * half + j, mask=j < rest, other=0.0)[None, :]
    return u, v, w


@triton.jit
def _rotated(u, v, rotation, rows, live, window: tl.constexpr, half: tl.constexpr, half_block: tl.constexpr):
    """Turn the two halves by the angle of each row's position."""
    i = tl.arange(0, half_block)
    keep = live[:, None] & (i < half)[None, :]
    at = rotation + rows[:, None] * half + i[None, :]
    cosine = tl.load(at, mask=keep, other=0.0)
    sine = tl.load(at + window * half, mask=keep, other=0.0)
    return u * cosine - v * sine, v * cosine + u * sine


@triton.jit
def _product(a, b, kind: tl.constexpr):
    return tl.dot(a.to(kind), tl.trans(b.to(kind)), input_precision="ieee")


@triton.jit
def scores_kernel(
    heads, bias, affine, rotation, cache, probabilities, out, row_slot, row_count,
    d: tl.constexpr, count_heads: tl.constexpr, size: tl.constexpr, half: tl.constexpr, rest: tl.constexpr,
    frames: tl.constexpr, left: tl.constexpr, half_block: tl.constexpr, rest_block: tl.constexpr,
    size_block: tl.constexpr, tile: tl.constexpr, left_tile: tl.constexpr,
):  # fmt: skip
    """Attention with own scores: over the chunk alone (its probabilities are stored), or over cache and chunk."""
    b = tl.program_id(0)
    head = tl.program_id(1)
    kind: tl.constexpr = heads.dtype.element_ty
    window: tl.constexpr = left + frames
    t = tl.arange(0, tile)
    live = t < frames
    source = heads + b * frames * (3 * d) + head * size
    qu, qv, qw = _normed_head(
        source, bias + head * size, affine, t, live, 3 * d, size, half, half_block, rest, rest_block
    )
    ku, kv, kw = _normed_head(
        source + d, bias + d + head * size, affine + 2 * size, t, live, 3 * d, size, half, half_block, rest,
        rest_block,
    )  # fmt: skip
    ku = ku.to(kind)
    kv = kv.to(kind)
    kw = kw.to(kind)
    qu, qv = _rotated(qu, qv, rotation, left + t, live, window, half, half_block)
    ru, rv = _rotated(ku.to(tl.float32), kv.to(tl.float32), rotation, left + t, live, window, half, half_block)
    scores = _product(qu, ru, kind) + _product(qv, rv, kind)
    if rest > 0:
        scores += _product(qw, kw, kind)
    scores = tl.where(live[None, :], scores, float("-inf"))
    top = tl.max(scores, 1)
    c = tl.arange(0, size_block)
    values = tl.load(
        source + 2 * d + t[:, None] * (3 * d) + c[None, :], mask=live[:, None] & (c < size)[None, :], other=0.0
    )
    place = out + (b * frames + t)[:, None] * d + head * size + c[None, :]
    keep = live[:, None] & (c < size)[None, :]
    if left == 0:
        weights = tl.exp(scores - top[:, None])
        weights = weights / tl.sum(weights, 1)[:, None]
        at = probabilities + ((b * count_heads + head) * frames + t)[:, None] * frames + t[None, :]
        tl.store(at, weights.to(probabilities.dtype.element_ty), mask=live[:, None] & live[None, :])
        mixed = tl.dot(weights.to(kind), values, input_precision="ieee")
        tl.store(place, mixed.to(kind), mask=keep)
    else:
        slot = tl.load(row_slot + b).to(tl.int64)
        count = tl.load(row_count + b)
        age = tl.arange(0, left_tile)
        valid = (age < left) & (age >= left - count * frames)
        ring = cache + slot * (left * 2 * d) + head * size
        row = (count * frames + age) % left * (2 * d)
        i = tl.arange(0, half_block)
        j = tl.arange(0, rest_block)
        rotated = valid[:, None] & (i < half)[None, :]
        ou = tl.load(ring + row[:, None] + i[None, :], mask=rotated, other=0.0)
        ov = tl.load(ring + row[:, None] + half + i[None, :], mask=rotated, other=0.0)
        old = tl.load(ring + row[:, None] + d + c[None, :], mask=valid[:, None] & (c < size)[None, :], other=0.0)
        pu, pv = _rotated(ou.to(tl.float32), ov.to(tl.float32), rotation, age, age < left, window, half, half_block)
        before = _product(qu, pu, kind) + _product(qv, pv, kind)
        if rest > 0:
            ow = tl.load(
                ring + row[:, None] + 2 * half + j[None, :], mask=valid[:, None] & (j < rest)[None, :], other=0.0
            )
            before += _product(qw, ow, kind)
        before = tl.where(valid[None, :], before, float("-inf"))
        top = tl.maximum(top, tl.max(before, 1))
        weights = tl.exp(scores - top[:, None])
        weights_before = tl.exp(before - top[:, None])
        total = tl.sum(weights, 1) + tl.sum(weights_before, 1)
        weights = weights / total[:, None]
        weights_before = weights_before / total[:, None]
        mixed = tl.dot(weights.to(kind), values, input_precision="ieee")
        mixed += tl.dot(weights_before.to(kind), old, input_precision="ieee")
        tl.store(place, mixed.to(kind), mask=keep)
        # Other threads of this program may still be reading the rows that are about to be overwritten.
        tl.debug_barrier()
        target = ring + ((count * frames + t) % left * (2 * d))[:, None]
        tl.store(target + i[None, :], ku, mask=live[:, None] & (i < half)[None, :])
        tl.store(target + half + i[None, :], kv, mask=live[:, None] & (i < half)[None, :])
        if rest > 0:
            tl.store(target + 2 * half + j[None, :], kw, mask=live[:, None] & (j < rest)[None, :])
        tl.store(target + d + c[None, :], values, mask=keep)


@triton.jit
def mix_kernel(
    values, probabilities, out, d: tl.constexpr, count_heads: tl.constexpr, size: tl.constexpr,
    frames: tl.constexpr, size_block: tl.constexpr, tile: tl.constexpr,
):  # fmt: skip
    """Weight the values of one head by the probabilities of the group's owner."""
    b = tl.program_id(0)
    head = tl.program_id(1)
    t = tl.arange(0, tile)
    live = t < frames
    c = tl.arange(0, size_block)
    keep = live[:, None] & (c < size)[None, :]
    at = (b * frames + t)[:, None] * d + head * size + c[None, :]
    value = tl.load(values + at, mask=keep, other=0.0)
    weights = tl.load(
        probabilities + ((b * count_heads + head) * frames + t)[:, None] * frames + t[None, :],
        mask=live[:, None] & live[None, :],
        other=0.0,
    )
    mixed = tl.dot(weights.to(value.dtype), value, input_precision="ieee")
    tl.store(out + at, mixed.to(out.dtype.element_ty), mask=keep)
