"""What one chunk costs the network at least, from its sizes; and what this machine can do at most, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

MEL_PER_FRAME, KERNEL_A, KERNEL_B, WINDOW, BINS = 3, (11, 21), (11, 11), 160, 81
"""Fixed sizes of a T-one style network: mel frames per frame, the subsampling kernels, the front end."""


@dataclass(frozen=True)
class Cost:
    """Of one chunk of one stream.

    Attributes:
        flop: two per multiplication and addition of the network as defined, whatever an implementation saves.
        state_bytes: least traffic of a 16-bit state: read once, new frames written once.
        weight_bytes: of 16-bit weights, read once a batch.
    """

    flop: float
    state_bytes: float
    weight_bytes: float


def chunk_cost(table: Mapping[str, Any]) -> Cost:
    """Add up the matrix products and convolutions.

    Args:
        table: ``[architecture]`` of ``model.toml``.
    """
    d, ff, layers = table["d_model"], table["ff_dim"], table["n_layers"]
    frames, cache, taps = table.get("chunk_frames", 10), table.get("attention_cache", 30), table.get("conv_kernel", 31)
    reduce, expand = table["reduction_after"], table["upsample_after"]
    c1, c2 = table["subsampling_channels"]
    mels, classes = table.get("n_mels", 64), table.get("n_classes", 35)
    width_a = mels - KERNEL_A[1] + 1
    width_b = width_a - KERNEL_B[1] + 1
    mel_frames = frames * MEL_PER_FRAME
    area_a, area_b = KERNEL_A[0] * KERNEL_A[1], KERNEL_B[0] * KERNEL_B[1]
    # (multiplications, weights) of each part
    parts = [
        (mel_frames * (WINDOW * 2 * BINS + BINS * mels), 0),
        (mel_frames * width_a * c1 * area_a, c1 * area_a),
        (frames * width_b * c2 * c1 * area_b, c1 * c2 * area_b),
        (frames * width_b * c2 * d, width_b * c2 * d),
        (frames // 2 * (4 * d * 3 + 4 * d * d), 4 * d * (3 + d)),
        (frames * d * classes, d * classes),
    ]
    read = written = 0.0
    for block in range(layers):
        half = reduce < block <= expand
        rows = frames // 2 if half else frames
        left = (cache // 2 if half else cache) if block >= expand else 0
        owns = block in (0, reduce + 1) or block >= expand
        parts.append((rows * 6 * d * ff, 6 * d * ff))
        parts.append((rows * d * (3 * d + taps), d * (3 * d + taps)))
        parts.append(((rows + rows + left) * d * d, 2 * d * d))  # values see the cache, outputs do not
        parts.append((rows * (rows + left) * d, 0))
        if owns:
            parts.append(((rows + rows + left) * d * d + rows * (rows + left) * d, 2 * d * d))
        read += (taps - 1) * d + left * d
        written += rows * d * (2 if left else 1)
    subsampling = (KERNEL_A[0] - 1) * mels + c1 * (KERNEL_B[0] - MEL_PER_FRAME) * width_a
    traffic = read + written + 2 * subsampling + 2 * d
    return Cost(2.0 * sum(work for work, _ in parts), 2.0 * traffic, 2.0 * sum(size for _, size in parts))


@dataclass(frozen=True)
class Ceilings:
    """Largest rates measured on this machine.

    Attributes:
        tflops: of one large matrix product.
        gbs: of one large copy, counting both directions.
        kind: what was measured, for people.
    """

    tflops: float
    gbs: float
    kind: str


def cpu_ceilings(seconds: float = 0.3) -> Ceilings:
    """Measure numpy's float32 product and a copy in main memory."""
    a = np.random.default_rng(0).standard_normal((1024, 1024), dtype=np.float32)
    source = np.zeros(1 << 26, np.uint8)
    target = np.empty_like(source)
    product = _fastest(lambda: a @ a, seconds)
    copy = _fastest(lambda: np.copyto(target, source), seconds)
    return Ceilings(2 * 1024**3 / product / 1e12, 2 * source.nbytes / copy / 1e9, "float32 product 1024, copy of 64 MB")


def gpu_ceilings() -> Ceilings:
    """Measure a bfloat16 product and a copy in device memory with events."""
    import torch

    size = 8192
    a, b = (torch.randn(size, size, dtype=torch.bfloat16, device="cuda") for _ in range(2))
    source = torch.empty(1 << 32, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)

    def product() -> None:
        torch.mm(a, b)

    def copy() -> None:
        target.copy_(source)

    times = [_device_seconds(call) for call in (product, copy)]
    return Ceilings(
        2 * size**3 / times[0] / 1e12, 2 * (1 << 32) / times[1] / 1e9, "bfloat16 product 8192, copy of 4 GiB"
    )


def _device_seconds(call: Callable[[], None], turns: int = 10) -> float:
    import torch

    for _ in range(3):
        call()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(turns):
        call()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3 / turns


def _fastest(call: Any, seconds: float) -> float:
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
    return best
