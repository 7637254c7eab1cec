"""Packs what a machine without a network lacks to run the service: one archive of wheels' contents for Python 3.12.

`make gpu-host` runs it and puts `site.tar.xz` into data/gpu-host; `bench/serve_gpu.sh` unpacks it there. PyTorch, its
compiler and ONNX Runtime are expected on that machine.
"""

from __future__ import annotations

import argparse
import lzma
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PYTHON = "3.12"
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (35, 34, 28, 27, 26, 24, 17, 12)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux1_x86_64", "any"]
PACKAGES = (
    "nvidia-pytriton==0.7.0",  # tritonserver and its Python backend
    "numpy==1.26.4",  # the newest that its stub can read
    *("soxr==1.1.0", "soundfile==0.14.0", "cffi==2.1.1", "pycparser==3.12", "typing_extensions==4.16.0"),
    *("tritonclient==2.73.0", "python-rapidjson==1.25", "urllib3==2.8.0", "grpcio==1.85.1", "protobuf==6.33.6"),
    *("ml_dtypes==0.5.4", "packaging==26.3", "hpack==4.2.0", "psutil==7.2.2"),
)
UNUSED = (
    "bin",
    "**/tests",
    "**/__pycache__",
    "nvidia_pytriton.libs/libpython3-*",  # of the stub for Python 3.13
    "tritonclient/http",
    "tritonclient/utils/cuda_shared_memory",
    *(f"pytriton/tritonserver/python_backend_stubs/3.{minor}" for minor in (8, 9, 10, 11, 13)),
)
FILTERS = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 9}]
"""Addresses in machine code written so that equal calls are equal bytes, then a window over all libraries."""
ICU_SYMBOL = "icudt70_dat"
LIBPYTHON = f"libpython{PYTHON}.so.1.0"


def fetch(target: Path) -> None:
    """Install the packages' wheels into a folder, for another Python than this one."""
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    options = ["--target", str(target), "--no-deps", "--no-compile", "--only-binary=:all:"]
    python = ["--python-version", PYTHON, "--implementation", "cp"]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *options, *python, *platforms, *PACKAGES], check=True)


def prune(site: Path) -> None:
    """Remove what the service never loads."""
    for pattern in UNUSED:
        for path in list(site.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def empty_icu_data(site: Path) -> None:
    """Put an empty library in the place of ICU's 29 MB of tables: only XML in foreign encodings would need them."""
    data = next((site / "nvidia_pytriton.libs").glob("libicudata-*.so.*"))
    name = data.name
    data.unlink()
    source = f"const double {ICU_SYMBOL}[64] = {{0}};"
    command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-x", "c", "-", "-o", str(data)]
    subprocess.run(command, input=source.encode(), check=True)


def strip(site: Path) -> None:
    """Drop the symbols that only debuggers read."""
    for path in site.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                binary = file.read(4) == b"\x7fELF"
            if binary:
                subprocess.run(["strip", "--strip-unneeded", str(path)], check=True)


def add_libpython(site: Path) -> None:
    """Add the shared library of a Python 3.12 of this machine, for hosts whose Python came without one."""
    code = "import sysconfig as s; print(s.get_config_var('LIBDIR'))"
    for python in (f"python{PYTHON}", *map(str, Path.home().glob(f".pyenv/versions/{PYTHON}.*/bin/python"))):
        try:
            found = subprocess.run([python, "-c", code], capture_output=True, check=True, text=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            continue
        library = Path(found) / LIBPYTHON
        if library.is_file():
            (site / "libpython").mkdir()
            shutil.copy(library, site / "libpython")
            return


def main() -> None:
    """Fetch, prune, compress."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("data/gpu-host"), help="where the archive goes")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch) / "site"
        fetch(site)
        prune(site)
        empty_icu_data(site)
        add_libpython(site)
        strip(site)
        print("compressing, some two minutes", flush=True)
        with (
            lzma.open(folder / "site.tar.xz", "wb", filters=FILTERS) as packed,
            tarfile.open(fileobj=packed, mode="w|") as archive,
        ):
            archive.add(site, ".")
    size = (folder / "site.tar.xz").stat().st_size
    print(f"{folder / 'site.tar.xz'}: {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
