# mypy: ignore-errors
"""Kernel of the two subsampling convolutions: an implicit matrix product on tensor cores, batch norm and SiLU included.

Rows are windows of a channels-innermost image (pack.WindowFilter), so no window is ever copied out.
"""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["rows"])
def window_kernel(
    image,
    matrix,
    scale,
    bias,
    out,
    history,
    row_slot,
    rows,
    image_size: tl.constexpr,
    frame_size: tl.constexpr,
    stride: tl.constexpr,
    step: tl.constexpr,
    frames: tl.constexpr,
    groups: tl.constexpr,
    taps: tl.constexpr,
    width: tl.constexpr,
    outputs: tl.constexpr,
    out_size: tl.constexpr,
    out_skip: tl.constexpr,
    kept: tl.constexpr,
    tile_m: tl.constexpr,
    tile_n: tl.constexpr,
    tile_k: tl.constexpr,
):
    """One program per ``tile_m`` windows and ``tile_n`` outputs.

    ``kept`` > 0: the last so many output frames also go to the history of the row's slot.
    """
    r = tl.program_id(0) * tile_m + tl.arange(0, tile_m)
    n = tl.program_id(1) * tile_n + tl.arange(0, tile_n)
    live = r < rows
    b = r // (frames * groups)
    frame = (r // groups) % frames
    group = r % groups
    k = tl.arange(0, tile_k)
    windows = image + (b * image_size + frame * (stride * frame_size) + group * step)[:, None] + k[None, :]
    weights = matrix + k[:, None] * outputs + n[None, :]
    wanted = (n < outputs)[None, :]
    total = tl.zeros((tile_m, tile_n), tl.float32)
    per_tap: tl.constexpr = width // tile_k
    for turn in range(taps * per_tap):
        tap = turn // per_tap
        offset = tap * frame_size + (turn - tap * per_tap) * tile_k
        a = tl.load(windows + offset, mask=live[:, None], other=0.0)
        w = tl.load(weights + turn * (tile_k * outputs), mask=wanted, other=0.0)
        total = tl.dot(a, w, total, input_precision="ieee")
    total *= tl.load(scale + n, mask=n < outputs, other=0.0)[None, :]
    total += tl.load(bias + n, mask=n < outputs, other=0.0)[None, :]
    value = (total * tl.sigmoid(total)).to(out.dtype.element_ty)
    keep = live[:, None] & wanted
    row = groups * outputs
    column = (group * outputs)[:, None] + n[None, :]
    tl.store(out + (b * out_size + (frame + out_skip) * row)[:, None] + column, value, mask=keep)
    if kept > 0:
        late = frame + kept - frames
        slot = tl.load(row_slot + b, mask=live, other=0).to(tl.int64)
        tl.store(history + ((slot * kept + late) * row)[:, None] + column, value, mask=keep & (late >= 0)[:, None])
