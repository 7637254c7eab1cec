"""Checks of the machine for `tritone doctor`: Python, C library, GPU, ports, shared memory, limits.

What is installed on it is looked at by `doctor_software`.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import sys

from tritone_backend.errors import BackendError
from tritone_backend.serve.doctor_finding import MISSING, OK, PROBLEM, Check
from tritone_backend.serve.lease import SHM_DIR
from tritone_backend.serve.ports import check_free

WHEEL_GLIBC = (2, 35)
PYTHONS = ((3, 10), (3, 13))
MIN_SHM_BYTES = 32 * 2**20
MIN_FILES = 4096


def check_python() -> Check:
    """This Python's version, against those that stubs exist for."""
    version = sys.version.split()[0]
    if PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return Check("Python", OK, f"{version} ({sys.executable})", needed=True)
    return Check("Python", PROBLEM, version, "use Python 3.10 to 3.13", needed=True)


def check_glibc() -> Check:
    """The C library, which the wheel's binary needs in a certain age."""
    name = os.confstr("CS_GNU_LIBC_VERSION") if hasattr(os, "confstr") else None
    if not name:
        return Check("glibc", PROBLEM, "not a GNU C library", "use a glibc distribution, not musl", needed=True)
    found = tuple(int(part) for part in name.split()[-1].split(".")[:2])
    if found < WHEEL_GLIBC and shutil.which("tritonserver") is None:
        return Check(
            "glibc",
            PROBLEM,
            name,
            "the bundled server needs 2.35: Debian 12, Ubuntu 22.04 or newer",
            needed=True,
        )
    return Check("glibc", OK, name, needed=True)


def check_gpu() -> Check:
    """The CUDA driver and its first GPU, asked through the driver's own library."""
    remedy = "install NVIDIA's driver; in a container: --gpus all (optional: the CPU engine needs none)"
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Check("GPU", MISSING, "no CUDA driver", remedy)
    if cuda.cuInit(0) != 0:
        return Check("GPU", PROBLEM, "there is a CUDA driver and no GPU that it can use", remedy)
    version, count, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(256)
    cuda.cuDriverGetVersion(ctypes.byref(version))
    cuda.cuDeviceGetCount(ctypes.byref(count))
    if count.value == 0:
        return Check("GPU", PROBLEM, "the CUDA driver sees no GPU", remedy)
    device = ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), 0)
    cuda.cuDeviceGetName(name, len(name), device)
    major, minor = version.value // 1000, version.value % 1000 // 10
    return Check("GPU", OK, f"{count.value} x {name.value.decode()}, driver for CUDA {major}.{minor}")


def check_port(name: str, port: int, flag: str) -> Check:
    """Whether a server could listen on a port of loopback."""
    try:
        check_free("127.0.0.1", port, flag)
    except BackendError as error:
        return Check(name, PROBLEM, error.user_message, f"stop what listens there, or choose another with {flag}")
    return Check(name, OK, f"{port} is free")


def check_shared_memory() -> Check:
    """Room in /dev/shm, through which Triton and the models exchange tensors."""
    if not SHM_DIR.is_dir() or not os.access(SHM_DIR, os.W_OK):
        return Check("shared memory", PROBLEM, f"{SHM_DIR} cannot be written", "mount a tmpfs there", needed=True)
    usage = shutil.disk_usage(SHM_DIR)
    detail = f"{usage.free / 2**20:.0f} MiB free of {usage.total / 2**20:.0f} MiB in {SHM_DIR}"
    if usage.free < MIN_SHM_BYTES:
        remedy = "free some; in a container: --shm-size=256m"
        return Check("shared memory", PROBLEM, detail, remedy, needed=True)
    return Check("shared memory", OK, detail)


def check_open_files() -> Check:
    """The limit of open files: one per client connection; serving raises the soft limit by itself."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    shown = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    if hard != resource.RLIM_INFINITY and hard < MIN_FILES:
        return Check(
            "open files",
            PROBLEM,
            f"at most {shown}",
            "ulimit -Hn 65536; in a container: --ulimit nofile=65536",
        )
    return Check("open files", OK, f"at most {shown}")
