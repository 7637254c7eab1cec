"""Which engine to run: the one asked for, or the fastest that works here. Knows the engines by name only."""

from __future__ import annotations

from pathlib import Path

from tritone_backend.engines.base import Engine
from tritone_backend.errors import EngineError
from tritone_backend.spec import AcousticSpec

ENGINES = ("auto", "onnxruntime")


def create_engine(name: str, model: Path, *, threads: int) -> tuple[Engine, str]:
    """Create an engine for a model folder.

    Args:
        name: one of ``ENGINES``.
        model: folder with ``model.toml``.
        threads: CPU threads for the network; 0 lets the engine decide.

    Returns:
        The engine and one line that says which it is and why.

    Raises:
        ModelError: the folder is not a model.
        EngineError: the engine is unknown or cannot run here.
    """
    if name not in ENGINES:
        raise EngineError(f"unknown engine {name!r}: known are {', '.join(ENGINES)}")
    spec = AcousticSpec.load(model)
    try:
        from tritone_backend.engines.onnxruntime import OnnxRuntimeEngine
    except ModuleNotFoundError as error:
        raise EngineError(f"the onnxruntime engine needs {error.name}: pip install 'tritone[onnxruntime]'") from None
    reason = "asked for" if name == "onnxruntime" else "runs everywhere; this build has no other engine"
    return OnnxRuntimeEngine(spec, threads=threads), f"onnxruntime ({reason})"
