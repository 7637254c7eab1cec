"""Checks of what is installed for `tritone doctor`: server, engines, packages, models.

The machine itself is looked at by `doctor_machine`. Nothing is imported to find out whether it is there.
"""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from tritone_backend.errors import BackendError
from tritone_backend.models.registry import found_models
from tritone_backend.serve import locate
from tritone_backend.serve.doctor_finding import MISSING, OK, PROBLEM, Check
from tritone_backend.spec import AcousticSpec

RUN_TIMEOUT_S = 20.0


def check_triton() -> Check:
    """The server: where it is, which one, and whether it starts at all."""
    try:
        install = locate.find_triton()
    except BackendError as error:
        return Check("tritonserver", MISSING, error.user_message, locate.INSTALL_HINT, needed=True)
    complaint = _loads([str(install.binary), "--help"], expect="Usage")
    if complaint:
        return Check("tritonserver", PROBLEM, complaint, locate.INSTALL_HINT, needed=True)
    return Check("tritonserver", OK, f"{_triton_version(install)} ({install.binary})", needed=True)


def _triton_version(install: locate.TritonInstall) -> str:
    marker = install.binary.resolve().parent.parent / "TRITON_VERSION"
    if marker.is_file():
        return marker.read_text().strip()
    return f"in nvidia-pytriton {_version('nvidia-pytriton') or 'of unknown version'}"


def check_stub() -> Check:
    """The process that runs models in this Python: whether its libraries load."""
    try:
        install = locate.find_triton()
    except BackendError:
        return Check("model process", MISSING, "comes with tritonserver", locate.INSTALL_HINT, needed=True)
    complaint = _loads([str(install.stub)], expect="Expected")
    if complaint:
        return Check(
            "model process",
            PROBLEM,
            complaint,
            f"install libpython{locate.running_version()}, or a Python built with --enable-shared",
            needed=True,
        )
    return Check("model process", OK, f"for Python {locate.running_version()}", needed=True)


def _loads(command: list[str], expect: str) -> str:
    """Runs a program that only prints something; returns its complaint, empty when it said the expected."""
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, env=locate.server_environment()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]} does not run: {error}"
    said = ran.stdout + ran.stderr
    if expect in said:
        return ""
    lines = said.strip().splitlines()
    return lines[-1] if lines else f"{command[0]} ended with status {ran.returncode} and said nothing"


def check_numpy() -> Check:
    """The numpy trap: the bundled server's stub turns numpy 2 arrays into empty outputs, in silence."""
    version = _version("numpy")
    if version is None:
        return Check("numpy", MISSING, "", "pip install 'numpy<2'", needed=True)
    bundled = shutil.which("tritonserver") is None
    if bundled and int(version.split(".")[0]) >= 2:
        return Check(
            "numpy",
            PROBLEM,
            f"{version}: the bundled server sends empty answers",
            "pip install 'numpy<2'",
            needed=True,
        )
    return Check("numpy", OK, version, needed=True)


def check_package(name: str, distribution: str, remedy: str, *, needed: bool = False) -> Check:
    """Whether a distribution is installed, without importing it."""
    version = _version(distribution)
    if version is None:
        return Check(name, MISSING, "", remedy, needed=needed)
    return Check(name, OK, version, needed=needed)


def check_onnxruntime() -> Check:
    """The engine that works everywhere; on a GPU another one may stand in for it."""
    others = [name for name in ("torch", "tensorrt", "tensorrt_rtx") if importlib.util.find_spec(name)]
    needed = not others or ctypes.util.find_library("cuda") is None
    return check_package("onnxruntime", "onnxruntime", "pip install 'tritone[onnxruntime]'", needed=needed)


def check_tensorrt() -> Check:
    """Either TensorRT, with the CUDA bindings that its engine needs."""
    for name in ("tensorrt", "tensorrt_rtx"):
        if importlib.util.find_spec(name) is None:
            continue
        version = _version(name) or _version(name.replace("_", "-")) or "version unknown"
        if importlib.util.find_spec("cuda") is None:
            return Check("TensorRT", PROBLEM, f"{name} {version} without cuda-python", "pip install cuda-python")
        return Check("TensorRT", OK, f"{name} {version}")
    return Check("TensorRT", MISSING, "", "pip install tensorrt cuda-python (optional, needs an NVIDIA GPU)")


def check_models() -> Check:
    """The models that can be named, and whether `default` is whole."""
    models = found_models()
    remedy = "`tritone model add FILE` or `tritone model pull`"
    if not models:
        return Check("models", MISSING, "none", remedy, needed=True)
    names = ", ".join(sorted(models))
    if "default" not in models:
        return Check("models", OK, f"{names}; none is called default: give --model", needed=True)
    try:
        AcousticSpec.load(models["default"])
    except BackendError as error:
        return Check("models", PROBLEM, error.user_message, remedy, needed=True)
    return Check("models", OK, names, needed=True)


def check_perf_analyzer() -> Check:
    """NVIDIA's load generator, which only comparisons with published numbers need."""
    path = shutil.which("perf_analyzer") or shutil.which("perf_analyzer", path=str(Path(sys.executable).parent))
    if path is None:
        return Check("perf_analyzer", MISSING, "", "in NVIDIA's tritonserver SDK container (optional)")
    return Check("perf_analyzer", OK, path)


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
