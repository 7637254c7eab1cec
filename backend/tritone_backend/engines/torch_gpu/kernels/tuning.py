"""Tile sizes and warps of the kernels, as measured; who launches them is in launch.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """Tile sizes and warps, as measured on one H200 (docs/gpu-notes.md).

    Attributes:
        windows: for batches from so many windows on: tile rows, tile columns, tile depth, warps, stages.
        depthwise: channels and warps per program.
        gate: rows, columns and warps per program.
        norm: rows and warps per program.
        heads: warps per stream and head.
        expand: as ``windows``, by rows, for the feed-forward expansion; None there means cuBLAS and a gate.
    """

    windows: tuple[tuple[int, int, int, int, int, int], ...] = (
        (128 * 128, 128, 128, 64, 8, 4),
        (64 * 64, 64, 64, 64, 4, 4),
        (0, 32, 32, 64, 4, 4),
    )
    depthwise: tuple[int, int] = (128, 2)
    gate: tuple[int, int, int] = (4, 512, 8)
    norm: tuple[int, int] = (4, 4)
    heads: int = 1
    expand: tuple[tuple[int, tuple[int, int, int, int, int] | None], ...] = ((0, None),)
