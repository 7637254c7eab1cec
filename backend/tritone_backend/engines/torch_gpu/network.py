"""One chunk of a batch of streams: the order of matrix products and fused steps over pool and workspace.

The fused steps are in plain_ops.py and kernels/; graphs, copies and batch sizes in runner.py.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tritone_backend.engines.torch_gpu.architecture import BINS, HOP, Architecture
from tritone_backend.engines.torch_gpu.fp8 import KIND, Fp8Matrix
from tritone_backend.engines.torch_gpu.pack import PackedWeights
from tritone_backend.engines.torch_gpu.plain_ops import Ops
from tritone_backend.engines.torch_gpu.pool import Workspace


class StepNetwork:
    """Runs the network on what lies in the workspace's inbox and leaves the log-probs there.

    The residual stream is stored without the constant output biases of the modules; the norms add them (see
    pack.BlockWeights.biases), so every module ends in one product that accumulates into the stream. With ``fp8`` the
    norms before the feed-forward modules are rounded to 8 bits, and so are the matrices they meet.
    """

    def __init__(
        self, arch: Architecture, packed: PackedWeights, work: Workspace, ops: Ops, *, fp8: bool = False
    ) -> None:
        self.arch, self.packed, self.work, self.ops = arch, packed, work, ops
        self._eight: tuple[tuple[Fp8Matrix, Fp8Matrix], ...] = ()
        if fp8:
            ups = ((block.up[0], block.up[1]) for block in packed.blocks)
            self._eight = tuple((Fp8Matrix.round(first), Fp8Matrix.round(second)) for first, second in ups)
            self._normed8 = torch.zeros(work.full.numel(), device=work.full.device).to(KIND)

    def step(self, batch: int) -> None:
        """Advance the first ``batch`` rows by one chunk."""
        arch, work, packed, ops = self.arch, self.work, self.packed, self.ops
        x = self._front(batch)
        for block in range(arch.n_layers):
            x = self._block(x, block, batch)
            if block == arch.reduction_after:
                ops.reduction_input(batch)
                rows = batch * arch.chunk_frames // 2
                x = work.rows("half", rows, arch.d_model)
                ops.product(work.rows("reduction_in", rows, 3 * arch.d_model), packed.reduction, x)
                ops.normalise(x, packed.blocks[block + 1].biases[0], self._expanded(rows))
        ops.classify(x, batch)

    def _front(self, batch: int) -> Tensor:
        """Samples to the input of the first block; leaves its norm in ``normed``."""
        arch, work, packed, ops = self.arch, self.work, self.packed, self.ops
        ops.prepare(batch)
        hops = batch * (arch.chunk_mels + 1)
        ops.product(work.rows("hops", hops, HOP), packed.spectrum, work.rows("spectrum", hops, 4 * BINS))
        ops.log_mel(batch)
        ops.window(0, batch)
        ops.window(1, batch)
        rows = batch * arch.chunk_frames
        x = work.rows("full", rows, arch.d_model)
        ops.product(work.rows("encoded", rows, packed.encode.shape[0]), packed.encode, x)
        ops.close(x, packed.zero_bias, packed.encode_norm, x, self._expanded(rows))
        return x

    def _block(self, x: Tensor, block: int, batch: int) -> Tensor:
        """Run a block in place and return the input of the next one, whose norm is left in ``normed``."""
        arch, work, ops, weights = self.arch, self.work, self.ops, self.packed.blocks[block]
        rows, d = len(x), arch.d_model
        normed = self._normed(rows)

        self._feed_forward(x, block, 0)
        ops.normalise(x, weights.biases[1], normed)

        heads = work.rows("heads", rows, weights.attention_in.shape[1])
        mixed = work.rows("mixed", rows, d)
        ops.product(normed, weights.attention_in, heads)
        ops.attend(heads, block, batch, mixed)
        ops.product(mixed, weights.attention_out, x, add=True)
        ops.normalise(x, weights.biases[2], normed)

        wide = work.rows("wide", rows, 2 * d)
        ops.product(normed, weights.pointwise1, wide)
        ops.depthwise(wide, block, batch, mixed)
        ops.product(mixed, weights.pointwise2, x, add=True)
        ops.normalise(x, weights.biases[3], self._expanded(rows))

        self._feed_forward(x, block, 1)
        last = block == arch.n_layers - 1
        if block == arch.upsample_after:
            y = work.rows("full", 2 * rows, d)
            saved = work.rows("saved", 2 * rows, d)
            out = None if last else self._expanded(2 * rows)
            ops.upsample(x, weights.biases[4], weights.norm_out, saved, y, out)
            return y
        reduces = block == arch.reduction_after
        y = work.rows("saved", rows, d) if reduces else x
        ops.close(x, weights.biases[4], weights.norm_out, y, None if last or reduces else self._expanded(rows))
        return y

    def _feed_forward(self, x: Tensor, block: int, which: int) -> None:
        work, weights = self.work, self.packed.blocks[block]
        rows = len(x)
        gated = work.rows("gated", rows, self.arch.ff_dim)
        if self._eight:
            wide = work.rows("wide", rows, 2 * self.arch.ff_dim)
            self._eight[block][which].product(self._expanded(rows), wide)
            self.ops.gate(wide, weights.up_bias[which], gated)
        else:
            self.ops.expand(self._expanded(rows), weights.up[which], weights.up_bias[which], gated)
        self.ops.product(gated, weights.down[which], x, add=True)

    def _expanded(self, rows: int) -> Tensor:
        """Where the norm goes that a feed-forward expansion reads."""
        if not self._eight:
            return self._normed(rows)
        return self._normed8[: rows * self.arch.d_model].view(rows, self.arch.d_model)

    def _normed(self, rows: int) -> Tensor:
        return self.work.rows("normed", rows, self.arch.d_model)
