"""Named ranges for Nsight Systems around the work of a batch. On with TRITONE_NVTX=1 and the `nvtx` package."""

from __future__ import annotations

import importlib
import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

_OFF: AbstractContextManager[None] = nullcontext()


def _load() -> Any:
    """The nvtx package when it is asked for and there, else None."""
    if os.environ.get("TRITONE_NVTX") != "1":
        return None
    try:
        return importlib.import_module("nvtx")
    except ModuleNotFoundError:
        return None


_nvtx = _load()


def span(name: str) -> AbstractContextManager[Any]:
    """A range for a ``with`` statement, in the domain `tritone`. One for a whole batch, never one a chunk."""
    return _OFF if _nvtx is None else _nvtx.annotate(name, domain="tritone")


def status() -> str:
    """One line on why there are ranges or none, for the log; empty when nobody asked."""
    if os.environ.get("TRITONE_NVTX") != "1":
        return ""
    return "NVTX ranges are on" if _nvtx else "NVTX ranges are off: pip install nvtx"
