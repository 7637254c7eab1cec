# mypy: ignore-errors
"""Kernels from the inbox to the first convolution: unpacking, histories, log-mel features.

Triton's language is not Python to a type checker, hence the first line; launches are in launch.py.
"""

import triton
import triton.language as tl


@triton.jit
def prepare_kernel(
    inbox,
    inbox_words,
    counts,
    tail,
    mel_history,
    image_history,
    row_slot,
    row_count,
    hops,
    mel,
    image,
    scale,
    row: tl.constexpr,
    meta: tl.constexpr,
    samples: tl.constexpr,
    hop: tl.constexpr,
    mel_kept: tl.constexpr,
    mel_size: tl.constexpr,
    image_kept: tl.constexpr,
    image_size: tl.constexpr,
    block: tl.constexpr,
):
    """One program per stream and part: part 0 unpacks samples, the others copy the image history."""
    b = tl.program_id(0).to(tl.int64)
    part = tl.program_id(1)
    slot = tl.load(inbox_words + b * (row // 2)).to(tl.int64)
    fresh = tl.load(inbox_words + b * (row // 2) + 1)
    count = tl.where(fresh != 0, 0, tl.load(counts + slot))
    at = tl.arange(0, block)
    if part == 0:
        tl.store(row_slot + b, slot.to(tl.int32))
        tl.store(row_count + b, count)
        source = inbox + b * row + meta
        target = hops + b * (samples + hop)
        old = tl.load(tail + slot * hop + at, mask=(at < hop) & (count > 0), other=0)
        tl.store(target + at, old.to(tl.float32) / scale, mask=at < hop)
        tl.store(tail + slot * hop + at, tl.load(source + samples - hop + at, mask=at < hop, other=0), mask=at < hop)
        for start in range(0, samples, block):
            inside = start + at < samples
            value = tl.load(source + start + at, mask=inside, other=0)
            tl.store(target + hop + start + at, value.to(tl.float32) / scale, mask=inside)
        for start in range(0, mel_kept, block):
            inside = start + at < mel_kept
            kept = tl.load(mel_history + slot * mel_kept + start + at, mask=inside & (count > 0), other=0.0)
            tl.store(mel + b * mel_size + start + at, kept, mask=inside)
    else:
        place = (part - 1) * block + at
        inside = place < image_kept
        kept = tl.load(image_history + slot * image_kept + place, mask=inside & (count > 0), other=0.0)
        tl.store(image + b * image_size + place, kept, mask=inside)


@triton.jit(do_not_specialize=["rows"])
def log_mel_kernel(
    spectrum,
    filterbank,
    weight,
    mel,
    mel_history,
    row_slot,
    rows,
    guard,
    frames: tl.constexpr,
    kept: tl.constexpr,
    bins: tl.constexpr,
    bands: tl.constexpr,
    tile: tl.constexpr,
    bins_block: tl.constexpr,
    bands_block: tl.constexpr,
):
    """One program per ``tile`` mel frames."""
    r = tl.program_id(0) * tile + tl.arange(0, tile)
    live = r < rows
    b = r // frames
    i = r % frames
    k = tl.arange(0, bins_block)
    inside = live[:, None] & (k < bins)[None, :]
    first = spectrum + (b * (frames + 1) + i)[:, None] * (4 * bins) + k[None, :]
    second = first + 4 * bins + 2 * bins
    real = tl.load(first, mask=inside, other=0.0) + tl.load(second, mask=inside, other=0.0)
    imaginary = tl.load(first + bins, mask=inside, other=0.0) + tl.load(second + bins, mask=inside, other=0.0)
    power = real * real + imaginary * imaginary
    n = tl.arange(0, bands_block)
    filters = tl.load(
        filterbank + k[:, None] * bands + n[None, :], mask=(k < bins)[:, None] & (n < bands)[None, :], other=0.0
    )
    energy = tl.dot(power, filters, input_precision="ieee")
    value = tl.where((n < bands)[None, :], tl.log(energy + guard), 0.0)
    root = tl.rsqrt(tl.sum(value * value, 1) / bands + 1e-16)
    value = value * root[:, None] * tl.load(weight + n, mask=n < bands, other=0.0)[None, :]
    value = value.to(mel.dtype.element_ty)
    keep = live[:, None] & (n < bands)[None, :]
    tl.store(mel + (b * (kept + frames) + kept + i)[:, None] * bands + n[None, :], value, mask=keep)
    late = i + kept - frames
    slot = tl.load(row_slot + b, mask=live, other=0).to(tl.int64)
    place = (slot * kept + late)[:, None] * bands + n[None, :]
    tl.store(mel_history + place, value, mask=keep & (late >= 0)[:, None])
