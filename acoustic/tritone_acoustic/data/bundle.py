"""Packs what a training machine without network needs: voices, texts, recordings, wheels.

`unpack` is the other end; it runs there before anything is installed, so it needs only the standard library.
"""

from __future__ import annotations

import lzma
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tritone_acoustic.data.console import say
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.paths import DataPaths

ARCHIVE = "material.tar.xz"
LIMIT_MIB = 44.0
# Read and write Opus, FLAC and GSM on the training machine.
WHEELS = ("soundfile==0.14.0", "cffi", "pycparser")
# Opus compression (about 15 kbit/s), and which clips: what is measured over there is only for watching.
_COMPRESSION = 0.965
_TRAVELLING_SETS = {
    "festvox_train": 1,
    "stamps_train": 1,
    "letters_train": 1,
    "foreign_train": 1,
    "festvox_dev": 2,
    "synthetic_dev": 2,
}
# Travels beside the archive, a quarter of its size: together they are too large for one call.
_NEURAL_SET = "neural_train"
# Half of the largest text source travels: with exchanged words in them its sentences are alike enough.
_HALVED_TEXTS = "survival\t"
# Voices are mostly tables of 4-byte numbers: told so, the compressor saves a megabyte.
_XZ = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 2, "lp": 2, "pb": 2}]


def _download_wheels(folder: Path, python: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in (28, 27, 26, 24, 17)] + ["manylinux2014_x86_64"]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", python, "--implementation", "cp", "-d", str(folder)]
    for platform in platforms:
        command += ["--platform", platform]
    for wheel in WHEELS:
        subprocess.run([*command, wheel], check=True)


def write_bundle(paths: DataPaths, private_voices: bool = False, python: str = "3.12") -> None:
    """Builds the sets and packs bundle/material.tar.xz, bundle/wheels and, if it was made, bundle/neural_train.

    Args:
        paths: the data folder, after `fetch` and `texts`.
        private_voices: also make the evaluation set of private voices (it is not packed).
        python: version of Python on the training machine.

    Raises:
        TrainingDataError: something is missing, or the bundle is too large to travel.
    """
    # needs soundfile, unlike what unpacks a bundle
    from tritone_acoustic.data.sets import write_sets

    if not (paths.texts / "train.tsv").exists():
        raise TrainingDataError("no sentences yet: run `python -m tritone_acoustic.data texts` first")
    write_sets(paths, private_voices)
    pack(paths, python)


def _halve(path: Path) -> None:
    """Leaves out every second sentence of the largest source of a sentence list."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    halved = [line for line in lines if line.startswith(_HALVED_TEXTS)][::2]
    others = [line for line in lines if not line.startswith(_HALVED_TEXTS)]
    path.write_text("".join(others + halved), encoding="utf-8")


def pack(paths: DataPaths, python: str = "3.12") -> None:
    """Packs what lies in the data folder.

    Args:
        paths: the data folder, with sets, voices and texts.
        python: version of Python on the training machine.

    Raises:
        TrainingDataError: the bundle is too large to travel, or the wheels could not be downloaded.
    """
    from tritone_acoustic.data.audio import read_set, write_set

    with tempfile.TemporaryDirectory(dir=paths.root) as folder:
        stage, made = Path(folder) / "stage", Path(folder) / "made"
        say("downloading wheels for the training machine")
        try:
            _download_wheels(made / "wheels", python)
        except (OSError, subprocess.CalledProcessError) as error:
            raise TrainingDataError(f"pip could not download {', '.join(WHEELS)}: {error}") from error
        shutil.copytree(paths.voices, stage / "voices")
        # The unit database (110 MB) is made again over there, from the recordings that travel anyway.
        database = shutil.ignore_patterns("wav", "mcep", "complete", "lock")
        shutil.copytree(paths.festival, stage / "festival", ignore=database)
        shutil.copytree(paths.texts, stage / "texts")
        _halve(stage / "texts/train.tsv")
        # Recordings travel in Opus: training sends them through worse codecs anyway; `evaluate` uses the exact sets.
        for name, every in _TRAVELLING_SETS.items():
            write_set(read_set(paths.sets / name)[::every], stage / "sets" / name, ".ogg", _COMPRESSION)
        shutil.copyfile(paths.sets / "festvox_train.cuts", stage / "sets/festvox_train.cuts")
        say("compressing (about a minute)")
        with lzma.open(made / ARCHIVE, "wb", filters=_XZ) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
            for item in sorted(stage.iterdir()):
                archive.add(item, item.name)
        size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file()) / 2**20
        if size > LIMIT_MIB:
            raise TrainingDataError(f"the bundle has {size:.1f} MiB, over {LIMIT_MIB}: compress the recordings more")
        # Only what was made is replaced: weights to start from may lie there too.
        paths.bundle.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(paths.bundle / "wheels", ignore_errors=True)
        for item in made.iterdir():
            item.replace(paths.bundle / item.name)
        if (paths.sets / f"{_NEURAL_SET}.tsv").exists():
            write_set(read_set(paths.sets / _NEURAL_SET), paths.bundle / _NEURAL_SET, ".ogg", _COMPRESSION)
    say(f"{paths.bundle}: {size:.1f} MiB")


def unpack(bundle: Path, target: Path) -> None:
    """Unpacks a bundle; what is there already is replaced.

    Args:
        bundle: folder with material.tar.xz, wheels/ and perhaps neural_train.
        target: becomes the data folder; target/site holds the wheels' packages, for PYTHONPATH.

    Raises:
        TrainingDataError: the bundle is missing or broken.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(bundle / ARCHIVE) as archive:
            archive.extractall(target, filter="data")
        for part in bundle.glob(f"{_NEURAL_SET}.*"):
            shutil.copy(part, target / "sets")
        for wheel in sorted((bundle / "wheels").glob("*.whl")):
            with zipfile.ZipFile(wheel) as content:
                content.extractall(target / "site")  # noqa: S202  (our own wheels)
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise TrainingDataError(f"cannot unpack {bundle}: {error}") from error
    say(f"unpacked {bundle} into {target}")
