"""What the NVIDIA driver says of this machine, asked without any framework, and refusals that say how to mend it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tritone_backend.errors import EngineError

LIBRARY = "libcuda.so.1"
_CAPABILITY = (75, 76)
"""Numbers of CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR in the CUDA driver API."""
_INSTEAD = "or take --engine onnxruntime"


@dataclass(frozen=True)
class Gpu:
    """The first GPU.

    Attributes:
        name: as the driver calls it.
        capability: compute capability, (major, minor).
        cuda: newest CUDA that the driver speaks, (major, minor).
    """

    name: str
    capability: tuple[int, int]
    cuda: tuple[int, int]

    @property
    def architecture(self) -> str:
        """Return the compute capability as engines' file names carry it, such as ``sm90``."""
        return f"sm{self.capability[0]}{self.capability[1]}"


def find_gpu(load: Callable[[str], Any] = ctypes.CDLL) -> Gpu:
    """Return the first GPU of this machine.

    Args:
        load: opens a shared library; replaced in tests.

    Raises:
        EngineError: there is no driver or no GPU.
    """
    try:
        driver = load(LIBRARY)
    except OSError:
        raise EngineError(f"this machine has no NVIDIA driver ({LIBRARY}): install it, {_INSTEAD}") from None
    count = ctypes.c_int()
    status = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if status or count.value == 0:
        why = f" (CUDA error {status})" if status else ""
        raise EngineError(f"the NVIDIA driver finds no GPU{why}: see nvidia-smi and CUDA_VISIBLE_DEVICES, {_INSTEAD}")
    device, number, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(256)
    driver.cuDeviceGet(ctypes.byref(device), 0)
    driver.cuDeviceGetName(name, 256, device)
    parts = []
    for attribute in _CAPABILITY:
        driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
        parts.append(number.value)
    driver.cuDriverGetVersion(ctypes.byref(number))
    cuda = number.value // 1000, number.value % 1000 // 10
    return Gpu(name.value.decode(errors="replace"), (parts[0], parts[1]), cuda)


def require_driver(gpu: Gpu, needed: str | None, by: str) -> None:
    """Refuse a driver whose CUDA is of an older major version than a library was built for.

    Args:
        gpu: what is here.
        needed: CUDA version such as ``13.0``; None asks for nothing.
        by: the library, for people.

    Raises:
        EngineError: one line with both versions.
    """
    if needed is not None and gpu.cuda[0] < int(needed.split(".")[0]):
        have = f"{gpu.cuda[0]}.{gpu.cuda[1]}"
        raise EngineError(
            f"the NVIDIA driver is too old: it speaks CUDA {have} and {by} needs {needed.split('.')[0]}.0 or newer: "
            f"update the driver, {_INSTEAD}"
        )
