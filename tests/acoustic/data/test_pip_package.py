"""Files out of packages: wheels and source archives, what is missing, a failing pip."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from tritone_acoustic.data import pip_package
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.pip_package import read_member

pytestmark = pytest.mark.unit


def _wheel(folder, name):
    with zipfile.ZipFile(folder / "words-1.0.3-py3-none-any.whl", "w") as wheel:
        wheel.writestr(name, b"content")


def _source(folder, name):
    path = folder / "inside"
    path.write_bytes(b"content")
    with tarfile.open(folder / "words-1.0.3.tar.gz", "w:gz") as archive:
        archive.add(path, f"words-1.0.3/{name}")


def _pip(write, name):
    """Stand in for pip: leave a package with one file of that name."""

    def run(command, check):
        assert command[-1] == "words==1.0.3"
        write(Path(command[command.index("-d") + 1]), name)

    return run


@pytest.mark.parametrize("write", [_wheel, _source])
def test_one_file_is_read(monkeypatch, write):
    monkeypatch.setattr(pip_package.subprocess, "run", _pip(write, "words/data.db"))
    assert read_member("words==1.0.3", "words/data.db") == b"content"


def _failing(command, check):
    raise subprocess.CalledProcessError(1, "pip")


def _broken(command, check):
    (Path(command[command.index("-d") + 1]) / "words-1.0.3-py3-none-any.whl").write_bytes(b"no archive")


@pytest.mark.parametrize(
    "pip", [_pip(_wheel, "README"), _pip(_source, "README"), _failing, _broken, lambda *_, **__: None]
)
def test_a_package_without_it_and_a_failed_download_are_told(monkeypatch, pip):
    monkeypatch.setattr(pip_package.subprocess, "run", pip)
    with pytest.raises(TrainingDataError, match=r"^words==1.0.3 could not be fetched .* run `data fetch` again$"):
        read_member("words==1.0.3", "words/data.db")
