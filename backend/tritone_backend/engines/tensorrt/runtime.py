"""Runs a plan between gather and scatter of the stream pool: contexts, addresses and the one call that enqueues it.

This is the only module that needs both TensorRT and a GPU it supports; everything around it runs without TensorRT.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tritone_backend.engines.cache import cache_directory
from tritone_backend.engines.tensorrt.build import input_shapes
from tritone_backend.engines.tensorrt.library import Library
from tritone_backend.engines.tensorrt.observers import make_logger
from tritone_backend.engines.tensorrt.plans import PlanInfo
from tritone_backend.engines.torch_gpu.vector import DenseWork
from tritone_backend.errors import EngineError
from tritone_backend.spec import AcousticSpec

TENSORS = ("signal", "state", "logprobs", "state_next")


class LoadedPlan:
    """A plan that TensorRT has accepted.

    Args:
        library: which TensorRT.
        plan: the serialised plan.
        info: its description.

    Raises:
        EngineError: TensorRT refuses it, with its reason.
    """

    def __init__(self, library: Library, plan: bytes, info: PlanInfo) -> None:
        self._complaints: list[str] = []
        self.info, self._library = info, library
        self._logger = make_logger(library.api, self._complaints)
        self._runtime = library.api.Runtime(self._logger)  # must outlive the engine
        self.engine = self._runtime.deserialize_cuda_engine(plan)
        if self.engine is None:
            raise EngineError(f"TensorRT refuses the plan: {self.reason()}: build it anew on this machine")
        self._cache: Any = None

    @property
    def context_bytes(self) -> int:
        """Return the memory that contexts share: the most that any profile needs."""
        sizes = self.engine.get_device_memory_size_for_profile_v2
        return max(int(sizes(index)) for index in range(len(self.info.batches)))

    def context(self) -> Any:
        """Return a context without memory of its own.

        Raises:
            EngineError: TensorRT cannot make one.
        """
        strategy = self._library.api.ExecutionContextAllocationStrategy.USER_MANAGED
        if self._library.flavour == "tensorrt_rtx":
            # RTX compiles its kernels when they are first used: keep them, so that the next start need not.
            settings = self.engine.create_runtime_config()
            settings.set_execution_context_allocation_strategy(strategy)
            if self._cache is None:
                self._cache = settings.create_runtime_cache()
                with contextlib.suppress(OSError):
                    self._cache.deserialize(self._cache_file.read_bytes())
            settings.set_runtime_cache(self._cache)
            context = self.engine.create_execution_context(settings)
        else:
            context = self.engine.create_execution_context(strategy)
        if context is None:
            raise EngineError(f"TensorRT cannot run the plan: {self.reason()}")
        return context

    def keep_compiled(self) -> None:
        """Store what was compiled on this machine; without effect where nothing was, or the disk refuses."""
        if self._cache is not None:
            with contextlib.suppress(OSError):
                self._cache_file.parent.mkdir(parents=True, exist_ok=True)
                self._cache_file.write_bytes(memoryview(self._cache.serialize()))

    def reason(self) -> str:
        """Return the first line of TensorRT's latest complaint."""
        return self._complaints[-1].splitlines()[0][:200] if self._complaints else "it gave no reason"

    @property
    def _cache_file(self) -> Path:
        return cache_directory() / f"compiled-{self.info.plan[:20]}.bin"


class TensorRTNetwork:
    """A :class:`torch_gpu.vector.DenseNetwork` of one context per profile: a context's shapes belong to its CUDA graph.

    Args:
        plan: the loaded plan.
        spec: sizes.
        work: tensors that are bound once and for all.
        stream: returns the handle of the stream to enqueue on.
    """

    def __init__(self, plan: LoadedPlan, spec: AcousticSpec, work: DenseWork, stream: Callable[[], int]) -> None:
        self._plan, self._stream = plan, stream
        self._batches: Sequence[int] = plan.info.batches
        size = plan.context_bytes
        self._memory: Tensor = torch.zeros(max(1, size), dtype=torch.uint8, device=work.state.device)
        self._contexts = {}
        for index, batch in enumerate(self._batches):
            context = plan.context()
            context.set_device_memory(self._memory.data_ptr(), size)
            context.set_optimization_profile_async(index, stream())
            for name, shape in input_shapes(spec, batch).items():
                if not context.set_input_shape(name, shape):
                    raise EngineError(f"TensorRT refuses {name} {shape}: {plan.reason()}")
            for name in TENSORS:
                context.set_tensor_address(name, getattr(work, name).data_ptr())
            self._contexts[batch] = context

    def enqueue(self, batch: int) -> None:
        """See :class:`torch_gpu.vector.DenseNetwork`; rows up to the next profile's size are computed too."""
        rung = next(size for size in self._batches if size >= batch)
        if not self._contexts[rung].execute_async_v3(self._stream()):
            raise RuntimeError(self._plan.reason())
