"""Makes a virtual environment of what `pack_gpu_host.py` packed, this checkout and the packages of this Python.

    python3 scripts/unpack_gpu_host.py data/gpu-host FOLDER

No network, no pip. The packed packages come first: Triton's Python backend needs an older numpy than PyTorch's.
"""

from __future__ import annotations

import ctypes.util
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("acoustic", "backend", "bench", "client")
LIBPYTHON = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"


def main(archive: Path, folder: Path) -> None:
    """Make the environment in ``folder``."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    with tarfile.open(archive / "site.tar.xz") as packed:
        packed.extractall(site, filter="tar")
    paths = [str(ROOT / package) for package in PACKAGES]
    paths += dict.fromkeys((sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]))
    (site / "tritone-host.pth").write_text("\n".join(paths) + "\n", encoding="utf-8")
    command = folder / "bin" / "tritone"
    command.write_text(
        f"#!{folder.resolve()}/bin/python\nimport sys\nfrom tritone_client.cli.main import main\n\n"
        'if __name__ == "__main__":  # load generators import this file again\n    sys.exit(main())\n',
        encoding="utf-8",
    )
    command.chmod(0o755)
    print(f"environment in {folder}; Triton's process finds Python in {_libpython(site)}")


def _libpython(site: Path) -> str:
    """Where Triton's process will find Python's shared library; the packed one is laid beside its other libraries."""
    try:
        ctypes.CDLL(LIBPYTHON)
    except OSError:
        pass
    else:
        return "the system"
    named = Path(sysconfig.get_config_var("LIBDIR") or "") / LIBPYTHON
    if named.is_file():
        return str(named)
    packed = site / "libpython" / LIBPYTHON
    if not packed.is_file():
        return "no place: the service will not start here"
    link = site / "nvidia_pytriton.libs" / LIBPYTHON  # on the run path of the process's own binary
    link.unlink(missing_ok=True)
    link.symlink_to(packed)
    return str(packed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
