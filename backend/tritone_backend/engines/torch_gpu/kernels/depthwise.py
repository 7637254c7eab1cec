# mypy: ignore-errors
# ruff: noqa: RUF005  (the compiler knows no unpacking of tuples)
"""Kernel of the convolution module's middle: GLU, causal depthwise convolution over the ring, SiLU, ring update."""

import triton
import triton.language as tl


@triton.jit
def depthwise_kernel(
    wide,
    wide_bias,
    ring,
    taps,
    bias,
    out,
    row_slot,
    row_count,
    slot_size: tl.constexpr,
    ring_offset,
    d: tl.constexpr,
    frames: tl.constexpr,
    kernel: tl.constexpr,
    block: tl.constexpr,
):
    """One program per stream and ``block`` channels. Every frame of the window is in registers.

    All loads and stores are plain vectors over channels, so a thread only ever touches its own channels and the
    ring can be overwritten in place.
    """
    b = tl.program_id(0)
    c = tl.program_id(1) * block + tl.arange(0, block)
    inside = c < d
    past: tl.constexpr = kernel - 1
    slot = tl.load(row_slot + b).to(tl.int64)
    count = tl.load(row_count + b)
    oldest = (count * frames) % past
    empty = past - count * frames
    base = ring + slot * slot_size + ring_offset + c
    window = ()
    for s in tl.static_range(past):
        row = oldest + s
        row = tl.where(row >= past, row - past, row)
        value = tl.load(base + row * d, mask=inside & (s >= empty), other=0.0)
        window = window + (value.to(tl.float32),)
    value_bias = tl.load(wide_bias + c, mask=inside, other=0.0)
    gate_bias = tl.load(wide_bias + d + c, mask=inside, other=0.0)
    for t in tl.static_range(frames):
        source = wide + (b * frames + t) * (2 * d) + c
        value = tl.load(source, mask=inside, other=0.0).to(tl.float32) + value_bias
        gate = tl.load(source + d, mask=inside, other=0.0).to(tl.float32) + gate_bias
        gated = (value * tl.sigmoid(gate)).to(ring.dtype.element_ty)
        row = oldest + t
        row = tl.where(row >= past, row - past, row)
        tl.store(base + row * d, gated, mask=inside)
        window = window + (gated.to(tl.float32),)
    start = tl.load(bias + c, mask=inside, other=0.0)
    totals = ()
    for _ in tl.static_range(frames):
        totals = totals + (start,)
    for k in tl.static_range(kernel):
        weight = tl.load(taps + k * d + c, mask=inside, other=0.0)
        following = ()
        for t in tl.static_range(frames):
            following = following + (totals[t] + weight * window[t + k],)
        totals = following
    for t in tl.static_range(frames):
        total = totals[t]
        result = total * tl.sigmoid(total)
        tl.store(out + (b * frames + t) * d + c, result.to(out.dtype.element_ty), mask=inside)
