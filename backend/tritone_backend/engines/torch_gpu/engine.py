"""The ``torch`` engine behind the Engine contract: loading, memory limits, errors and timing.

The network is in network.py, its memory in pool.py, graphs and copies in runner.py.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tritone_backend.engines.base import EngineTiming, Lane
from tritone_backend.engines.gpu import find_gpu, require_driver
from tritone_backend.engines.memory import Budget
from tritone_backend.engines.torch_gpu.architecture import Architecture
from tritone_backend.engines.torch_gpu.network import StepNetwork
from tritone_backend.engines.torch_gpu.pack import Packer
from tritone_backend.engines.torch_gpu.plain_ops import Ops, PlainOps
from tritone_backend.engines.torch_gpu.pool import SlotPool, Workspace
from tritone_backend.engines.torch_gpu.runner import Runner
from tritone_backend.engines.torch_gpu.weights import architecture_table, read_weights, weights_file
from tritone_backend.errors import EngineError, ModelError
from tritone_backend.spec import AcousticSpec

LADDER = (1, 8, 16, 32, 64, 128, 256, 512, 1024)
FP8_CAPABILITY = (8, 9)
RESERVE = 1 << 30
"""Bytes of device memory left to libraries, graphs and the compiler."""
_LOG = logging.getLogger("tritone.engine")


class TorchEngine:
    """Engine for T-one style networks on an NVIDIA GPU; on a CPU (``device="cpu"``) it is exact and slow.

    Args:
        spec: the model.
        device: ``cuda`` (with an index if wanted) or ``cpu``.
        ladder: batch sizes that graphs are captured for.
        dtype: of weights, activations and state; float16 on a GPU, float32 on a CPU unless given.
        plain: use the plain PyTorch steps instead of the kernels, to check them.
        fp8: round the feed-forward expansions to 8 bits (fp8.py); off unless given or ``$TRITONE_FP8`` is 1.
        weights: parameters by public name, instead of those of the model folder.
        progress: told one line per stage of a start that takes seconds; the log unless given.
        spin: wait for the GPU on a busy core (see Runner).

    Raises:
        EngineError: there is no usable GPU.
        ModelError: the weights cannot be read, or are not those ``model.toml`` describes.
    """

    name = "torch"

    def __init__(
        self,
        spec: AcousticSpec,
        *,
        device: str = "cuda",
        ladder: Sequence[int] = LADDER,
        dtype: torch.dtype | None = None,
        plain: bool | None = None,
        fp8: bool | None = None,
        weights: Mapping[str, Tensor] | None = None,
        progress: Callable[[str], None] = _LOG.info,
        spin: bool = True,
    ) -> None:
        self.spec = spec
        self._spin = spin
        self.timing = EngineTiming(0.0, 0.0, 0.0)
        self._device, self._ladder, self._progress = torch.device(device), tuple(ladder), progress
        on_gpu = self._device.type == "cuda"
        if on_gpu:
            _require_gpu(self._device)
            # Sums of partial products in float16 cost accuracy that float32 accumulation is there to keep.
            torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
            torch.backends.cuda.matmul.allow_tf32 = False
        self._dtype = dtype or (torch.float16 if on_gpu else torch.float32)
        self._plain = (not on_gpu) if plain is None else plain
        self._fp8 = os.environ.get("TRITONE_FP8") == "1" if fp8 is None else fp8
        if self._fp8 and on_gpu and torch.cuda.get_device_capability(self._device) < FP8_CAPABILITY:
            raise EngineError(
                "8-bit floating point needs a GPU of compute capability 8.9 or newer: leave TRITONE_FP8 unset"
            )
        folder = spec.onnx.parent
        if weights is None:
            source = weights_file(folder, spec.onnx)
            progress(f"reading weights from {source.name}")
            weights = read_weights(source)
        shapes = {name: tuple(value.shape) for name, value in weights.items()}
        self.arch = Architecture.from_weights(shapes, architecture_table(folder), chunk_frames=spec.frames_per_chunk)
        self._check_spec()
        progress("packing weights")
        try:
            self.packed = Packer(self.arch, weights, self._device, self._dtype).pack()
        except KeyError as error:
            raise ModelError(f"the weights of {spec.name} lack {error}: export the model anew") from None
        self._runner: Runner | None = None

    @property
    def lanes(self) -> Sequence[Lane]:
        """See :class:`Engine`: a GPU is one."""
        return (self,)

    def allocate(self, slots: int) -> None:
        """See :class:`Engine`. Compiles kernels and captures the graphs as well: they hold the pool's addresses."""
        self._runner = None
        self._check_memory(slots)
        pool = SlotPool.create(self.arch, slots, self._device, self._dtype)
        work = Workspace.create(self.arch, self.packed, self._ladder[-1], self._device, self._dtype)
        self.network = StepNetwork(self.arch, self.packed, work, self._make_ops(pool, work), fp8=self._fp8)
        self._runner = Runner(self.network, slots, self._ladder, self._device, self._progress, spin=self._spin)

    @property
    def runner(self) -> Runner:
        """Asynchronous steps: ``submit`` and ``collect``."""
        if self._runner is None:
            raise EngineError("the torch engine has no slots yet: allocate() comes first")
        return self._runner

    def step(
        self,
        signal: NDArray[np.int16] | NDArray[np.int32],
        slots: NDArray[np.int32],
        fresh: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """See :class:`Engine`. Batches above the largest graph are cut into several."""
        runner = self.runner
        if len(slots) > runner.capacity:
            cuts = range(0, len(slots), runner.capacity)
            pieces = [slice(start, start + runner.capacity) for start in cuts]
            return np.concatenate([self.step(signal[p], slots[p], fresh[p]).copy() for p in pieces])
        begin = perf_counter_ns()
        try:
            ticket = runner.submit(signal, slots, fresh)
            submitted = perf_counter_ns()
            result = runner.collect(ticket)
        except RuntimeError as error:
            raise EngineError(f"the GPU failed on a batch of {len(slots)}: {str(error).splitlines()[0]:.200}") from None
        # Copies are part of the graph: what the host sees is filling the staging area, and waiting.
        self.timing = EngineTiming((submitted - begin) / 1e3, (perf_counter_ns() - submitted) / 1e3, 0.0)
        return result

    def _make_ops(self, pool: SlotPool, work: Workspace) -> Ops:
        if self._plain:
            return PlainOps(self.arch, self.packed, pool, work)
        if "TRITONE_CACHE" in os.environ:  # compiled kernels survive restarts beside the other derived files
            os.environ.setdefault("TRITON_CACHE_DIR", os.path.join(os.environ["TRITONE_CACHE"], "kernels"))  # noqa: PTH118
        try:
            from tritone_backend.engines.torch_gpu.kernels.launch import KernelOps
        except ModuleNotFoundError as error:
            raise EngineError(f"the torch engine needs {error.name}: pip install {error.name}") from None
        ops = KernelOps(self.arch, self.packed, pool, work, batches=self._ladder)
        if ops.products.own:
            self._progress(f"{ops.products.own} kinds of product depend on the batch size in cuBLAS: own kernel")
        return ops

    def _check_spec(self) -> None:
        arch, spec = self.arch, self.spec
        pairs = (
            ("state.size", spec.state_size, arch.state_size),
            ("audio.chunk_samples", spec.chunk_samples, arch.chunk_samples),
            ("the number of classes", spec.classes, arch.n_classes),
        )
        for name, stated, found in pairs:
            if stated != found:
                raise ModelError(
                    f"model.toml of {spec.name} says {name} is {stated}, its weights make it {found}: "
                    "they do not belong together"
                )

    def _check_memory(self, slots: int) -> None:
        """Refuse more slots than fit."""
        each = SlotPool.slot_bytes(self.arch, self._dtype)
        arch = self.arch
        row = 4 * (5 * arch.ff_dim + 20 * arch.d_model) * arch.chunk_frames  # generous: workspace of one chunk
        fixed = row * self._ladder[-1] + (RESERVE if self._device.type == "cuda" else 0)
        Budget(free_memory(self._device), fixed, each, 1, str(self._device)).require(slots)


def free_memory(device: torch.device) -> int:
    """Return the bytes that can be allocated now."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _require_gpu(device: torch.device) -> None:
    """Raise EngineError, with the driver's own reason if it gives one."""
    reason = "this build of torch has no CUDA" if torch.version.cuda is None else "none was found"
    if torch.version.cuda is not None:
        require_driver(find_gpu(), torch.version.cuda, f"PyTorch {torch.__version__}")
    try:
        torch.cuda.init()
        if (device.index or 0) < torch.cuda.device_count():
            return
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0][:160]
    raise EngineError(f"the torch engine needs an NVIDIA GPU: {reason}; use --engine onnxruntime without one")


def gpu_summary() -> str | None:
    """Return name and memory of the first GPU as text, or None without a usable one."""
    try:
        if not torch.cuda.is_available():
            return None
        properties = torch.cuda.get_device_properties(0)
    except RuntimeError:
        return None
    return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
