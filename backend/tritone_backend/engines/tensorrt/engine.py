"""The ``tensorrt`` engine behind the Engine contract: which plan, how much memory, what is wrong with it.

Slots, staging, graphs and steps are those of the torch engine (torch_gpu/); only the network between them differs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

from tritone_backend.engines.base import EngineTiming
from tritone_backend.engines.gpu import find_gpu, require_driver
from tritone_backend.engines.memory import Budget
from tritone_backend.engines.tensorrt.library import Library, find_library
from tritone_backend.engines.tensorrt.plans import choose_plan, digest, read_plan
from tritone_backend.engines.tensorrt.runtime import LoadedPlan, TensorRTNetwork
from tritone_backend.engines.torch_gpu.engine import RESERVE, TorchEngine, free_memory
from tritone_backend.engines.torch_gpu.runner import Runner
from tritone_backend.engines.torch_gpu.vector import SPARE, DenseNetwork, DenseWork, VectorStep
from tritone_backend.errors import EngineError
from tritone_backend.spec import AcousticSpec

_LOG = logging.getLogger("tritone.engine")


class VectorEngine(TorchEngine):
    """The torch engine's pool and runner around any network with the public graph's inputs and outputs.

    Args:
        spec: the model.
        network: makes the network for the tensors of one batch.
        ladder: batch sizes it runs at; others are padded to the next.
        device: where.
        fixed: bytes that the network takes beside the pool.
        progress: told one line per stage.
    """

    name = "vector"

    def __init__(
        self,
        spec: AcousticSpec,
        network: Callable[[DenseWork], DenseNetwork],
        ladder: tuple[int, ...],
        *,
        device: str = "cuda",
        fixed: int = 0,
        progress: Callable[[str], None] = _LOG.info,
    ) -> None:
        # Not TorchEngine's: there are no weights to pack here, only its runner and steps are wanted.
        self.spec, self.timing = spec, EngineTiming(0.0, 0.0, 0.0)
        self._device, self._ladder, self._progress = torch.device(device), ladder, progress
        self._make_network, self._fixed = network, fixed
        self._runner: Runner | None = None

    def allocate(self, slots: int) -> None:
        """See :class:`Engine`. Graphs are captured here: they hold the pool's addresses."""
        self._runner = None
        spec, device = self.spec, self._device
        fixed = self._fixed + DenseWork.row_bytes(spec) * self._ladder[-1]
        fixed += RESERVE if device.type == "cuda" else 0
        Budget(free_memory(device), fixed, VectorStep.slot_bytes(spec), SPARE, str(device)).require(slots)
        work = DenseWork.create(spec, self._ladder[-1], device)
        self.network: Any = VectorStep(spec, slots, work, self._make_network(work))
        self._runner = Runner(self.network, slots, self._ladder, device, self._progress)


class TensorRTEngine(VectorEngine):
    """Runs a plan that `tritone model build --engine tensorrt` has built.

    Args:
        spec: the model.
        device: where; ``cpu`` is for tests with a library that stands in for TensorRT.
        library: which TensorRT; the first one installed unless given.
        architecture: of the GPU; asked of the driver unless given.
        progress: told one line per stage.

    Raises:
        EngineError: there is no TensorRT, no GPU or no plan that fits them, in one line each.
    """

    name = "tensorrt"

    def __init__(
        self,
        spec: AcousticSpec,
        *,
        device: str = "cuda",
        library: Library | None = None,
        architecture: str | None = None,
        progress: Callable[[str], None] = _LOG.info,
    ) -> None:
        library = library or find_library()
        if architecture is None:
            gpu = find_gpu()
            require_driver(gpu, torch.version.cuda, f"PyTorch {torch.__version__}")
            architecture = gpu.architecture
        path, info = choose_plan(
            spec.onnx.parent,
            network=digest(spec.onnx.read_bytes()),
            flavour=library.flavour,
            version=library.version,
            architecture=architecture,
        )
        if info.state_size != spec.state_size:
            raise EngineError(f"{path} has a state of {info.state_size} values, model.toml says {spec.state_size}")
        progress(f"loading {path.name}")
        self._plan = LoadedPlan(library, read_plan(path, info), info)
        on_gpu = torch.device(device).type == "cuda"

        def make(work: DenseWork) -> DenseNetwork:
            network = TensorRTNetwork(self._plan, spec, work, _current_stream if on_gpu else lambda: 0)
            if on_gpu:  # profiles were set on another stream than the runner's
                torch.cuda.synchronize()
            return network

        super().__init__(spec, make, info.batches, device=device, fixed=self._plan.context_bytes, progress=progress)

    def allocate(self, slots: int) -> None:
        """See :class:`Engine`."""
        super().allocate(slots)
        self._plan.keep_compiled()


def _current_stream() -> int:
    handle: int = torch.cuda.current_stream().cuda_stream
    return handle
