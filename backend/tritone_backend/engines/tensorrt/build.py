"""Builds a TensorRT plan from a model's ONNX graph, with progress. Running it is runtime.py's work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from tritone_backend.engines.cache import cache_directory
from tritone_backend.engines.gpu import find_gpu
from tritone_backend.engines.tensorrt.library import Library
from tritone_backend.engines.tensorrt.observers import make_logger, make_monitor
from tritone_backend.engines.tensorrt.plans import PlanInfo, check_batches, digest, write_plan
from tritone_backend.engines.tensorrt.precision import typed_graph
from tritone_backend.errors import EngineError, ModelError
from tritone_backend.spec import AcousticSpec

LADDER = (1, 8, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class BuildOptions:
    """How to build.

    Attributes:
        precision: of the products, see precision.PRECISIONS.
        batches: batch sizes; each gets a profile of its own, since batches are padded to them.
        targets: GPUs such as ``sm89``, for TensorRT for RTX only; empty takes this machine's.
        workspace: bytes the builder may let a kernel use; 0 sets no limit.
        folder: where the plan goes.
    """

    precision: str = "fp16"
    batches: Sequence[int] = LADDER
    targets: Sequence[str] = ()
    workspace: int = 0
    folder: Path = Path()


def build_plan(
    spec: AcousticSpec, library: Library, options: BuildOptions, say: Callable[[str], None]
) -> tuple[Path, PlanInfo]:
    """Build and store the plan of a model.

    Args:
        spec: the model.
        library: which TensorRT.
        options: how.
        say: told one line per step.

    Returns:
        The plan's path and description.

    Raises:
        EngineError: TensorRT refuses, or cannot build here.
        ModelError: the graph cannot be read.
    """
    batches = check_batches(options.batches)
    targets = _targets(library, options.targets)
    begin = perf_counter()
    graph, changed = typed_graph(spec.onnx, options.precision)
    say(f"{spec.onnx.name}: {changed} products in {options.precision}, the rest in the graph's own types")
    plan = _Builder(library, spec, say).build(graph, batches, targets, options)
    info = PlanInfo(
        network=digest(spec.onnx.read_bytes()),
        flavour=library.flavour,
        version=library.version,
        architectures=targets,
        precision=options.precision,
        batches=batches,
        state_size=spec.state_size,
        plan=digest(plan),
    )
    path = write_plan(options.folder, info, plan)
    say(f"wrote {path}, {len(plan) / 1e6:.1f} MB, in {perf_counter() - begin:.1f} s")
    return path, info


def _targets(library: Library, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the GPUs to build for."""
    if not library.builds_without_gpu:
        here = find_gpu().architecture
        if wanted and list(wanted) != [here]:
            raise EngineError(f"TensorRT builds only for this machine's GPU, {here}: leave --target out")
        return (here,)
    known = [name.lower() for name in library.api.ComputeCapability.__members__ if name.startswith("SM")]
    targets = tuple(dict.fromkeys(wanted)) or (find_gpu().architecture,)
    for target in targets:
        if target not in known:
            raise EngineError(
                f"TensorRT for RTX {library.version} does not build for {target}: it knows {', '.join(known)}; "
                "data-centre GPUs need TensorRT itself"
            )
    return targets


class _Builder:
    def __init__(self, library: Library, spec: AcousticSpec, say: Callable[[str], None]) -> None:
        self._library, self._api, self._spec, self._say = library, library.api, spec, say
        self._complaints: list[str] = []

    def build(self, graph: bytes, batches: Sequence[int], targets: Sequence[str], options: BuildOptions) -> bytes:
        """Return the serialised plan."""
        api = self._api
        logger = make_logger(api, self._complaints)
        builder = api.Builder(logger)
        # Strong typing is an option up to version 10 and the only way from 11 on.
        typed = getattr(api.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        network = builder.create_network(0 if typed is None else 1 << int(typed))
        parser = api.OnnxParser(network, logger)
        if not parser.parse(graph):
            reasons = [parser.get_error(index).desc() for index in range(parser.num_errors)]
            raise ModelError(f"{self._spec.onnx}: TensorRT cannot read the graph: {_reason(reasons)}")
        self._say(f"{self._library.flavour} {self._library.version}: {network.num_layers} layers")
        config = builder.create_builder_config()
        for batch in batches:
            config.add_optimization_profile(self._profile(builder, batch))
        if options.precision != "tf32":  # its ten bits would spoil the spectrum, which stays in float32 on purpose
            config.clear_flag(api.BuilderFlag.TF32)
        if options.workspace:
            config.set_memory_pool_limit(api.MemoryPoolType.WORKSPACE, options.workspace)
        if self._library.builds_without_gpu:
            config.num_compute_capabilities = len(targets)
            for index, target in enumerate(targets):
                config.set_compute_capability(getattr(api.ComputeCapability, target.upper()), index)
        monitor = make_monitor(api, self._say)
        config.progress_monitor = monitor
        timings = self._open_timings(config, targets)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise EngineError(f"TensorRT could not build the plan: {_reason(self._complaints)}")
        if timings is not None:
            self._keep_timings(config, timings)
        return bytes(memoryview(plan))

    def _profile(self, builder: Any, batch: int) -> Any:
        profile = builder.create_optimization_profile()
        for name, shape in input_shapes(self._spec, batch).items():
            profile.set_shape(name, shape, shape, shape)
        return profile

    def _open_timings(self, config: Any, targets: Sequence[str]) -> Path | None:
        """Give the builder what earlier builds timed on this kind of GPU; RTX plans are not timed when built."""
        if self._library.builds_without_gpu:
            return None
        path = cache_directory() / f"timings-{self._library.version}-{targets[0]}.bin"
        known = path.read_bytes() if path.is_file() else b""
        config.set_timing_cache(config.create_timing_cache(known), False)
        self._say(f"timing cache {path}: {len(known) / 1e6:.1f} MB")
        return path

    def _keep_timings(self, config: Any, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(memoryview(config.get_timing_cache().serialize()))
        except OSError as error:  # the next build only takes longer
            self._say(f"timing cache not kept: {error.strerror or error}")


def input_shapes(spec: AcousticSpec, batch: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the network's inputs for a batch."""
    return {"signal": (batch, spec.chunk_samples, 1), "state": (batch, spec.state_size)}


def _reason(lines: Sequence[str]) -> str:
    return next((line.splitlines()[0][:200] for line in lines if line.strip()), "it gave no reason")
