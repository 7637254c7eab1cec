"""Finds tritonserver and what its Python backend needs: stub, backend folder, environment.

Only looks and links; starting anything is the work of `process`, judging a whole machine that of `doctor`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tritone_backend.serve.errors import ServeError

STUB_NAME = "triton_python_backend_stub"
BACKEND_FILES = ("libtriton_python.so", "triton_python_backend_utils.py")
CONTAINER_BACKENDS = Path("/opt/tritonserver/backends")
INSTALL_HINT = "pip install 'tritone[server]' brings one, NVIDIA's tritonserver container has one"


@dataclass(frozen=True)
class TritonInstall:
    """A tritonserver that this Python can use.

    Attributes:
        binary: the executable.
        backend_dir: folder `python/` with the backend's library and utilities.
        stub: the process that runs models, for this Python's version.
        source: "PATH" or "nvidia-pytriton".
    """

    binary: Path
    backend_dir: Path
    stub: Path
    source: str

    @property
    def needs_private_backend(self) -> bool:
        """True when the stub lies elsewhere than the backend (in the wheel); Triton wants them together."""
        return self.stub.parent != self.backend_dir


def running_version() -> str:
    """Version of this Python as the stubs name it, such as 3.11."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def find_triton(search_path: str | None = None) -> TritonInstall:
    """Finds a tritonserver: first on PATH (the production container), then in the nvidia-pytriton wheel.

    Args:
        search_path: a PATH to use instead of the environment's.

    Returns:
        A complete installation whose stub runs this Python's version.

    Raises:
        ServeError: there is none, or it is incomplete, or its stub runs another Python.
    """
    found = shutil.which("tritonserver", path=search_path)
    if found is not None:
        return complete_install(Path(found), "PATH")
    root = wheel_root()
    if root is None:
        raise ServeError(f"tritonserver is neither on PATH nor installed with this Python; {INSTALL_HINT}")
    return complete_install(root / "bin" / "tritonserver", "nvidia-pytriton")


def wheel_root() -> Path | None:
    """Folder of the server inside the nvidia-pytriton wheel; found without importing it (it needs much)."""
    spec = importlib.util.find_spec("pytriton")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations))) / "tritonserver"
    return root if (root / "bin" / "tritonserver").is_file() else None


def complete_install(binary: Path, source: str) -> TritonInstall:
    """Finds the backend folder and the stub that belong to a server binary.

    Raises:
        ServeError: a part is missing or the stub runs another Python than this one.
    """
    root = binary.resolve().parent.parent
    backend_dir = root / "backends" / "python"
    if not backend_dir.is_dir():
        backend_dir = CONTAINER_BACKENDS / "python"
    for name in BACKEND_FILES:
        if not (backend_dir / name).is_file():
            raise ServeError(f"{binary} has no Python backend ({backend_dir / name} is missing); {INSTALL_HINT}")
    stub = backend_dir / STUB_NAME
    if stub.is_file():
        version = stub_python_version(stub)
        if version is not None and version != running_version():
            raise ServeError(
                f"{binary} runs models in Python {version}, tritone is installed in {running_version()}; "
                f"install tritone with python{version}"
            )
        return TritonInstall(binary, backend_dir, stub, source)
    stubs = root / "python_backend_stubs"
    stub = stubs / running_version() / STUB_NAME
    if not stub.is_file():
        offered = sorted((path.name for path in stubs.glob("*")), key=_version_key)
        raise ServeError(
            f"{binary} has no stub for Python {running_version()}; install tritone in one of "
            f"{', '.join(offered) or 'its own versions'}"
        )
    return TritonInstall(binary, backend_dir, stub, source)


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def stub_python_version(stub: Path) -> str | None:
    """Python version a stub is linked to, read from the library name inside it; None when it names none."""
    match = re.search(rb"libpython(\d+\.\d+)\.so", stub.read_bytes())
    return match.group(1).decode() if match else None


def prepare_backend_dir(install: TritonInstall, folder: Path) -> Path:
    """Returns a backend directory that Triton accepts, assembled of links where needed.

    Args:
        install: what `find_triton` found.
        folder: a private folder that may be created and filled.

    Returns:
        The value for `--backend-directory`.
    """
    if not install.needs_private_backend:
        return install.backend_dir.parent
    target = folder / "python"
    target.mkdir(parents=True, exist_ok=True)
    for source in (install.stub, *(install.backend_dir / name for name in BACKEND_FILES)):
        link = target / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    return folder


def libpython_dir() -> Path | None:
    """Folder of this Python's shared library; None when it was built without one (the system's is used)."""
    folder = sysconfig.get_config_var("LIBDIR")
    name = sysconfig.get_config_var("INSTSONAME")
    if folder and name and ".so" in name and (Path(folder) / name).is_file():
        return Path(folder)
    return None


def server_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which the stub runs this very Python with its packages.

    The stub finds a virtual environment by the first `python3` on PATH (it ignores PYTHONPATH), and its
    libpython by the
    loader: for a pyenv or uv Python that takes LD_LIBRARY_PATH, or another patch version is loaded in
        silence.

    Args:
        base: environment to start from; the present one by default.

    Returns:
        A new environment.
    """
    environment = dict(os.environ if base is None else base)
    environment["PATH"] = _prepend(str(Path(sys.executable).parent), environment.get("PATH", os.defpath))
    library = libpython_dir()
    if library is not None:
        environment["LD_LIBRARY_PATH"] = _prepend(str(library), environment.get("LD_LIBRARY_PATH", ""))
    return environment


def _prepend(entry: str, path: str) -> str:
    rest = [part for part in path.split(os.pathsep) if part and part != entry]
    return os.pathsep.join([entry, *rest])
