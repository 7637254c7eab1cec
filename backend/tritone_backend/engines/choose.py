"""Which engine to run: the one asked for, or the fastest that works here. Knows the engines by name only."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from tritone_backend.engines.base import Engine
from tritone_backend.errors import BackendError, EngineError
from tritone_backend.spec import AcousticSpec

ENGINES = ("auto", "onnxruntime", "onnxruntime-int8", "tensorrt", "torch")
MAX_BATCH = {"onnxruntime": 32, "onnxruntime-int8": 32, "tensorrt": 256, "torch": 256}
"""Streams in one network step unless somebody chooses; more would only make each other wait."""
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg")
"""Device files of an NVIDIA driver, on Linux and on Windows' Linux: a look costs less than loading PyTorch."""


def create_engine(name: str, model: Path, *, threads: int, max_batch: int = 0, spin: bool = True) -> tuple[Engine, str]:
    """Create an engine for a model folder.

    Args:
        name: one of ``ENGINES``.
        model: folder with ``model.toml``.
        threads: CPU threads for the network; 0 lets the engine decide.
        max_batch: no batch will be larger, so that a GPU engine is ready sooner; 0: the engine's own limit.
        spin: wait for a GPU on a busy core; not where other processes need the cores.

    Returns:
        The engine and one line that says which it is and why.

    Raises:
        ModelError: the folder is not a model.
        EngineError: the engine is unknown or cannot run here.
    """
    if name not in ENGINES:
        raise EngineError(f"unknown engine {name!r}: known are {', '.join(ENGINES)}")
    spec = AcousticSpec.load(model)
    if name == "onnxruntime":
        return _onnxruntime(spec, threads), "onnxruntime (asked for)"
    if name == "onnxruntime-int8":
        return _onnxruntime(spec, threads, int8=True), "onnxruntime-int8 (asked for)"
    if name == "torch":
        return _torch(spec, max_batch, spin), "torch (asked for)"
    if name == "tensorrt":
        return _tensorrt(spec), "tensorrt (asked for)"
    if not any(Path(device).exists() for device in _GPU_DEVICES):
        why = "no NVIDIA GPU here"
    elif find_spec("torch") is None:
        why = "there is a GPU, but no PyTorch to use it: pip install 'tritone[torch]'"
    else:
        try:
            engine, gpu = _torch(spec, max_batch, spin), _gpu_summary()
        except BackendError as error:
            why = f"the torch engine does not work here: {error.user_message}"
        else:
            return engine, f"torch (fastest on {gpu})"
    return _fastest_on_cpu(spec, threads, why)


def _fastest_on_cpu(spec: AcousticSpec, threads: int, why: str) -> tuple[Engine, str]:
    """8 bits where the model is as good with them and the processor made for them; not without the onnx package."""
    if spec.int8:
        try:
            from tritone_backend.engines.int8_graph import pays_here

            if pays_here():
                return _onnxruntime(spec, threads, int8=True), f"onnxruntime-int8 ({why}; 8 bits are fast here)"
        except ModuleNotFoundError:
            pass  # nor would float32 run: its error says what is missing
        except BackendError as error:
            why += f"; {error.user_message}"
    return _onnxruntime(spec, threads), f"onnxruntime ({why})"


def _onnxruntime(spec: AcousticSpec, threads: int, *, int8: bool = False) -> Engine:
    try:
        from tritone_backend.engines.int8_graph import int8_graph
        from tritone_backend.engines.onnxruntime import OnnxRuntimeEngine
    except ModuleNotFoundError as error:
        raise EngineError(f"the onnxruntime engine needs {error.name}: pip install 'tritone[onnxruntime]'") from None
    if not int8:
        return OnnxRuntimeEngine(spec, threads=threads)
    return OnnxRuntimeEngine(spec, threads=threads, graph=int8_graph(spec), name="onnxruntime-int8")


def _torch(spec: AcousticSpec, max_batch: int, spin: bool) -> Engine:
    try:
        from tritone_backend.engines.torch_gpu import TorchEngine
        from tritone_backend.engines.torch_gpu.engine import LADDER
    except ModuleNotFoundError as error:
        raise EngineError(f"the torch engine needs {error.name}: pip install 'tritone[torch]'") from None
    ladder = LADDER if not max_batch else (*(size for size in LADDER if size < max_batch), max_batch)
    return TorchEngine(spec, ladder=ladder, spin=spin)


def _tensorrt(spec: AcousticSpec) -> Engine:
    try:
        from tritone_backend.engines.tensorrt.engine import TensorRTEngine
    except ModuleNotFoundError as error:
        raise EngineError(f"the tensorrt engine needs {error.name}: pip install 'tritone[tensorrt]'") from None
    return TensorRTEngine(spec)


def _gpu_summary() -> str:
    from tritone_backend.engines.torch_gpu.engine import gpu_summary

    return gpu_summary() or "a GPU"
