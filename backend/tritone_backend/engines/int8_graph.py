"""The 8-bit form of a model's graph, made when it is first asked for and kept. How it is made is in models/quantise."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import onnxruntime as ort

from tritone_backend.engines.cache import cache_directory
from tritone_backend.engines.graph_cache import processor
from tritone_backend.errors import EngineError, ModelError
from tritone_backend.models.calibrate import made_sound
from tritone_backend.models.exact_sums import signed_sums_are_exact
from tritone_backend.models.quantise import RECIPE, quantise_graph
from tritone_backend.spec import AcousticSpec


def pays_here() -> bool:
    """Whether this processor adds 8-bit products exactly, as those with VNNI do: others are hardly faster with them.

    Raises:
        ModelError: the onnx package is missing, without which no graph can be made.
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise ModelError("8 bits need the onnx package: pip install 'tritone[onnxruntime]'") from None
    return signed_sums_are_exact(onnx)


def int8_graph(spec: AcousticSpec) -> Path:
    """The graph of a model with 8-bit products, calibrated on sound that is made here: some seconds the first time.

    What it becomes depends on the processor and on ONNX Runtime's version, so both are part of its name.

    Returns:
        Its file in the cache.

    Raises:
        ModelError: it cannot be made.
        EngineError: it cannot be kept.
    """
    content = hashlib.sha256(spec.onnx.read_bytes())
    content.update(f"{RECIPE} {ort.__version__} {processor()}".encode())
    kept = cache_directory() / f"{spec.onnx.stem}-{content.hexdigest()[:20]}.int8.onnx"
    if kept.is_file():
        return kept
    draft = kept.with_suffix(f".{os.getpid()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        quantise_graph(spec.onnx, draft, made_sound())
        draft.replace(kept)
    except OSError as error:
        raise EngineError(
            f"an 8-bit graph cannot be kept in {kept.parent}: {error.strerror}; set TRITONE_CACHE"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return kept
