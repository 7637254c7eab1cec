"""Finds TensorRT or TensorRT for RTX among the installed packages; both have the same interface."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tritone_backend.errors import EngineError

FLAVOURS = {
    "tensorrt": ("tensorrt", "tensorrt_bindings"),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
"""Modules of each flavour: the whole package, and the bindings' own wheel, which works without the former."""
_INSTALL = "pip install 'tritone[tensorrt]' (data-centre GPUs) or 'tritone[tensorrt-rtx]' (RTX GPUs)"


@dataclass(frozen=True)
class Library:
    """One installed TensorRT.

    Attributes:
        flavour: ``tensorrt`` or ``tensorrt_rtx``.
        version: its full version: plans belong to exactly one.
        api: the module.
    """

    flavour: str
    version: str
    api: Any

    @property
    def builds_without_gpu(self) -> bool:
        """Return whether plans can be built ahead of time for other GPUs than this machine's."""
        return self.flavour == "tensorrt_rtx"


def find_library(flavour: str | None = None, load: Callable[[str], Any] = importlib.import_module) -> Library:
    """Return the wanted TensorRT, or the first one installed.

    Args:
        flavour: a key of ``FLAVOURS``; None takes any.
        load: imports a module; replaced in tests.

    Raises:
        EngineError: it is not installed, or too old to be used.
    """
    for name in [flavour] if flavour else FLAVOURS:
        for module in FLAVOURS[name]:
            try:
                api = load(module)
            except (ImportError, OSError):  # missing, or its shared libraries are
                continue
            if not hasattr(api.IExecutionContext, "set_device_memory"):
                raise EngineError(f"{module} {api.__version__} is too old: the tensorrt engine needs 10.1 or newer")
            return Library(name, str(api.__version__), api)
    raise EngineError(f"{flavour or 'TensorRT'} is not installed: {_INSTALL}")
