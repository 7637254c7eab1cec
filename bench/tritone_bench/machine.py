"""Facts about the machine and the software that a result is worth nothing without."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from tritone_bench.usage import total_cores

_PACKAGES = ("tritone", "numpy", "onnxruntime", "tensorrt", "torch", "nvidia-pytriton", "hpack")


def machine() -> dict[str, str]:
    """Hardware and system, by name."""
    facts = {
        "processor": _processor(),
        "cores": str(total_cores()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
    }
    gpus = _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    if gpus:
        facts["gpu"] = "; ".join(gpus.splitlines())
    return facts


def versions() -> dict[str, str]:
    """Software, by name."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def revision() -> str:
    """Git revision of the checkout this runs from, with a + when it has changes; empty outside of one."""
    here = str(Path(__file__).parent)
    commit = _output("git", "-C", here, "rev-parse", "--short=12", "HEAD")
    changed = _output("git", "-C", here, "status", "--porcelain", "--untracked-files=no")
    return commit + ("+" if commit and changed else "")


def host_name() -> str:
    """Name of the machine, fit for a folder's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", platform.node()).strip("-.")[:40] or "host"


def busy_cores(seconds: float = 0.5) -> float:
    """Cores that other programs keep busy right now."""
    return float(psutil.cpu_percent(seconds)) / 100.0 * (os.cpu_count() or 1)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _output(program: str, *arguments: str) -> str:
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
