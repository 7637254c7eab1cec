"""Launches the kernels: grids, tile sizes and the tensors each one needs. The same steps as plain_ops.PlainOps."""

from __future__ import annotations

from collections.abc import Sequence

import triton  # type: ignore[import-not-found,import-untyped,unused-ignore]
from torch import Tensor

from tritone_backend.engines.torch_gpu.architecture import BINS, HOP, Architecture
from tritone_backend.engines.torch_gpu.kernels.attention import mix_kernel, scores_kernel
from tritone_backend.engines.torch_gpu.kernels.depthwise import depthwise_kernel
from tritone_backend.engines.torch_gpu.kernels.front import log_mel_kernel, prepare_kernel
from tritone_backend.engines.torch_gpu.kernels.product import gated_product_kernel
from tritone_backend.engines.torch_gpu.kernels.products import Products
from tritone_backend.engines.torch_gpu.kernels.rows import (
    classify_kernel,
    close_kernel,
    gate_kernel,
    normalise_kernel,
    reduction_kernel,
)
from tritone_backend.engines.torch_gpu.kernels.tuning import Tuning
from tritone_backend.engines.torch_gpu.kernels.window import window_kernel
from tritone_backend.engines.torch_gpu.pack import SAMPLE_SCALE, PackedWeights
from tritone_backend.engines.torch_gpu.plain_ops import GUARD
from tritone_backend.engines.torch_gpu.pool import META, SlotPool, Workspace

COPY_BLOCK = 2048
SMALLEST_TILE = 16
"""Least extent of a tensor-core product."""


class KernelOps:
    """See :class:`plain_ops.Ops`. Tensors must be on a GPU (or anywhere under Triton's interpreter).

    Args:
        arch: sizes.
        packed: weights.
        pool: state of all streams.
        work: memory of one batch.
        tuning: tile sizes, unless the measured ones.
        batches: sizes that steps are made with; their products are compared (see `Products`).
    """

    def __init__(
        self,
        arch: Architecture,
        packed: PackedWeights,
        pool: SlotPool,
        work: Workspace,
        tuning: Tuning | None = None,
        batches: Sequence[int] = (),
    ) -> None:
        self.arch, self.packed, self.pool, self.work = arch, packed, pool, work
        self.tuning = tuning or Tuning()
        self._row_block = triton.next_power_of_2(arch.d_model)
        self.products = Products(arch, packed, batches)

    def product(self, x: Tensor, matrix: Tensor, out: Tensor, *, add: bool = False) -> None:
        """See :class:`plain_ops.Ops`."""
        self.products.run(x, matrix, out, add=add)

    def prepare(self, batch: int) -> None:
        """See :class:`plain_ops.Ops`."""
        arch, pool, work = self.arch, self.pool, self.work
        kept = pool.image.shape[1] * pool.image.shape[2]
        prepare_kernel[(batch, 1 + triton.cdiv(kept, COPY_BLOCK))](
            work.inbox,
            work.inbox_words,
            pool.counts,
            pool.tail,
            pool.mel,
            pool.image,
            work.row_slot,
            work.row_count,
            work.hops,
            work.mel,
            work.image,
            SAMPLE_SCALE,
            row=META + arch.chunk_samples,
            meta=META,
            samples=arch.chunk_samples,
            hop=HOP,
            mel_kept=pool.mel.shape[1] * pool.mel.shape[2],
            mel_size=work.mel.shape[1] * work.mel.shape[2],
            image_kept=kept,
            image_size=work.image.shape[1] * work.image.shape[2],
            block=COPY_BLOCK,
            num_warps=8,
        )

    def log_mel(self, batch: int) -> None:
        """See :class:`plain_ops.Ops`."""
        arch, work = self.arch, self.work
        rows = batch * arch.chunk_mels
        log_mel_kernel[(triton.cdiv(rows, 16),)](
            work.spectrum,
            self.packed.filterbank,
            self.packed.mel_norm,
            work.mel,
            self.pool.mel,
            work.row_slot,
            rows,
            GUARD,
            frames=arch.chunk_mels,
            kept=arch.history[0],
            bins=BINS,
            bands=arch.n_mels,
            tile=16,
            bins_block=triton.next_power_of_2(BINS),
            bands_block=triton.next_power_of_2(arch.n_mels),
            num_warps=4,
        )

    def window(self, index: int, batch: int) -> None:
        """See :class:`plain_ops.Ops`."""
        arch, pool, work, spec = self.arch, self.pool, self.work, self.packed.filters[index]
        source, target = ((work.mel, work.image), (work.image, work.encoded))[index]
        channels = (1, arch.subsampling_channels[0])[index]
        frames = (arch.chunk_mels, arch.chunk_frames)[index]
        groups = arch.mel_widths[index] // spec.group
        outputs = spec.matrix.shape[1]
        kept = arch.history[1] if index == 0 else 0
        rows = batch * frames * groups
        _, tile_m, tile_n, tile_k, warps, stages = next(entry for entry in self.tuning.windows if rows >= entry[0])
        tile_n = min(tile_n, _tile(outputs))
        tile_k = next(k for k in (tile_k, 64, 32) if k <= tile_k and spec.width % k == 0)
        window_kernel[(triton.cdiv(rows, tile_m), triton.cdiv(outputs, tile_n))](
            source,
            spec.matrix,
            spec.scale,
            spec.bias,
            target,
            pool.image,
            work.row_slot,
            rows,
            image_size=source.stride(0),
            frame_size=source.shape[2],
            stride=spec.stride,
            step=spec.group * channels,
            frames=frames,
            groups=groups,
            taps=spec.taps,
            width=spec.width,
            outputs=outputs,
            out_size=target.stride(0),
            out_skip=kept,
            kept=kept,
            tile_m=tile_m,
            tile_n=tile_n,
            tile_k=tile_k,
            num_warps=warps,
            num_stages=stages,
        )

    def normalise(self, x: Tensor, bias: Tensor, out: Tensor) -> None:
        """See :class:`plain_ops.Ops`."""
        rows, d = x.shape
        tile, warps = self.tuning.norm
        normalise_kernel[(triton.cdiv(rows, tile),)](
            x, bias, out, rows, d=d, block=self._row_block, tile=tile, num_warps=warps
        )

    def close(self, x: Tensor, bias: Tensor, weight: Tensor, y: Tensor, out: Tensor | None) -> None:
        """See :class:`plain_ops.Ops`."""
        self._close(x, bias, weight, x, y, out, double=False)

    def upsample(self, x: Tensor, bias: Tensor, weight: Tensor, saved: Tensor, y: Tensor, out: Tensor | None) -> None:
        """See :class:`plain_ops.Ops`."""
        self._close(x, bias, weight, saved, y, out, double=True)

    def _close(
        self, x: Tensor, bias: Tensor, weight: Tensor, saved: Tensor, y: Tensor, out: Tensor | None, *, double: bool
    ) -> None:
        rows, d = x.shape
        tile, warps = self.tuning.norm
        close_kernel[(triton.cdiv(rows, tile),)](
            x,
            bias,
            weight,
            saved,
            y,
            y if out is None else out,
            rows,
            d=d,
            block=self._row_block,
            tile=tile,
            double=double,
            following=out is not None,
            num_warps=warps,
        )

    def expand(self, x: Tensor, matrix: Tensor, bias: Tensor, out: Tensor) -> None:
        """See :class:`plain_ops.Ops`."""
        rows, depth = x.shape
        width = out.shape[1]
        tiles = next(entry for least, entry in self.tuning.expand if rows >= least)
        if tiles is None:
            wide = self.work.rows("wide", rows, 2 * width)
            self.product(x, matrix, wide)
            self.gate(wide, bias, out)
            return
        tile_m, tile_n, tile_k, warps, stages = tiles
        gated_product_kernel[(triton.cdiv(rows, tile_m) * triton.cdiv(width, tile_n),)](
            x,
            matrix,
            bias,
            out,
            rows,
            depth=depth,
            width=width,
            tile_m=tile_m,
            tile_n=tile_n,
            tile_k=tile_k,
            band=8,
            num_warps=warps,
            num_stages=stages,
        )

    def gate(self, wide: Tensor, bias: Tensor, out: Tensor) -> None:
        """See :class:`plain_ops.Ops`."""
        rows, width = out.shape
        tile, block, warps = self.tuning.gate
        gate_kernel[(triton.cdiv(rows, tile), triton.cdiv(width, block))](
            wide, bias, out, rows, width=width, tile=tile, block=block, num_warps=warps
        )

    def depthwise(self, wide: Tensor, block: int, batch: int, out: Tensor) -> None:
        """See :class:`plain_ops.Ops`."""
        arch, weights, ring = self.arch, self.packed.blocks[block], self.pool.convolution
        channels, warps = self.tuning.depthwise
        depthwise_kernel[(batch, triton.cdiv(arch.d_model, channels))](
            wide,
            weights.pointwise1_bias,
            ring,
            weights.depthwise,
            weights.depthwise_bias,
            out,
            self.work.row_slot,
            self.work.row_count,
            slot_size=ring.stride(0),
            ring_offset=block * ring.stride(1),
            d=arch.d_model,
            frames=arch.frames(block),
            kernel=arch.conv_kernel,
            block=channels,
            num_warps=warps,
        )

    def attend(self, heads: Tensor, block: int, batch: int, out: Tensor) -> None:
        """See :class:`plain_ops.Ops`."""
        arch, work, weights = self.arch, self.work, self.packed.blocks[block]
        size, half = arch.head_dim, arch.rotary // 2
        frames, left = arch.frames(block), arch.left_context(block)
        grid = (batch, arch.n_heads)
        common = {
            "d": arch.d_model,
            "count_heads": arch.n_heads,
            "size": size,
            "frames": frames,
            "size_block": _tile(size),
            "tile": _tile(frames),
            "num_warps": self.tuning.heads,
        }
        if weights.head_norms is None:
            mix_kernel[grid](heads, work.probabilities, out, **common)
            return
        rest = size - 2 * half
        scores_kernel[grid](
            heads,
            weights.query_key_bias,
            weights.head_norms,
            weights.rotation,
            self.pool.attention.get(block, work.mixed),
            work.probabilities,
            out,
            work.row_slot,
            work.row_count,
            half=half,
            rest=rest,
            left=left,
            half_block=_tile(half),
            rest_block=_tile(rest),
            left_tile=_tile(left),
            **common,
        )

    def reduction_input(self, batch: int) -> None:
        """See :class:`plain_ops.Ops`."""
        arch, work = self.arch, self.work
        reduction_kernel[(batch,)](
            work.saved,
            self.pool.reduction,
            work.row_slot,
            work.row_count,
            work.reduction_in,
            d=arch.d_model,
            frames=arch.chunk_frames,
            block=self._row_block,
            num_warps=4,
        )

    def classify(self, x: Tensor, batch: int) -> None:
        """See :class:`plain_ops.Ops`."""
        arch, work, packed = self.arch, self.work, self.packed
        rows = batch * arch.chunk_frames
        classify_kernel[(triton.cdiv(rows, 16),)](
            x,
            packed.decoder,
            packed.decoder_bias,
            work.logprobs,
            self.pool.counts,
            work.row_slot,
            work.row_count,
            rows,
            d=arch.d_model,
            classes=arch.n_classes,
            frames=arch.chunk_frames,
            tile=16,
            tile_k=128,
            block=_tile(arch.n_classes),
            num_warps=4,
        )


def _tile(extent: int) -> int:
    return max(SMALLEST_TILE, int(triton.next_power_of_2(max(extent, 1))))
