"""The Festival synthesiser with its Russian voice as a small relocatable folder.

`gather` makes it from the packages; `restore` rebuilds the unit database on the machine that speaks, from the
recordings that travel anyway. Speaking is in `festival`.
"""

from __future__ import annotations

import fcntl
import shutil
import wave
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.audio import SAMPLE_RATE, Clip, read_set
from tritone_acoustic.data.clunits import drop_from_catalogue, drop_from_trees
from tritone_acoustic.data.elf import make_optional
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.join_features import CHANNELS, fit, log_mel_at, read_track, write_track
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.texts import is_recorded_dev

# What a machine with Python has anyway (libc, libstdc++) stays out.
_LIBRARIES = ("libestools.so.2.5", "libestbase.so.2.5", "libeststring.so.2.5", "libgomp.so.1", "libtinfo.so.6")
_SOUND_CARDS = frozenset({"libasound.so.2", "libpulse-simple.so.0"})
# The catalogue and the trees are written anew; the rest serves to build a voice.
_VOICE_FILES = ("festvox/msu_ru_nsh_*.scm", "dict/*", "etc/voice.defs")
_CATALOGUE = "festival/clunits/msu_ru_nsh.catalogue"
_TREES = "festival/trees/msu_ru_nsh.tree"
_MARKS = "marks.npz"
_FIT_EVERY = 20


def gather(paths: DataPaths, target: Path, train: list[Clip]) -> None:
    """Copies program, libraries and voice; no unit of a held-out recording comes along.

    Args:
        paths: the data folder, after `fetch`.
        target: folder to (re)create with bin/, lib/, share/ and voice/.
        train: the training recordings, 8 kHz, from which the voice's join features are fitted.

    Raises:
        TrainingDataError: the packages are not there.
    """
    program = paths.packages / "usr/bin/festival"
    if not program.exists() or not paths.festvox.is_dir():
        raise TrainingDataError(f"no festival in {paths.packages}: run `data fetch` first")
    shutil.rmtree(target, ignore_errors=True)
    (target / "bin").mkdir(parents=True)
    (target / "lib").mkdir()
    shutil.copy2(program, target / "bin/festival")
    for name in _LIBRARIES:
        found = [*(paths.packages / "usr/lib").glob(f"*/{name}"), *(paths.packages / "lib").glob(f"*/{name}")]
        if not found:
            raise TrainingDataError(f"no {name} in {paths.packages}: run `data fetch` again")
        shutil.copyfile(found[0], target / "lib" / name)
    make_optional(target / "lib/libestbase.so.2.5", _SOUND_CARDS)
    shutil.copytree(paths.packages / "usr/share/festival", target / "share", ignore=shutil.ignore_patterns("voices"))
    voice = target / "voice"
    for pattern in _VOICE_FILES:
        for source in sorted(paths.festvox.glob(pattern)):
            (voice / source.relative_to(paths.festvox)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, voice / source.relative_to(paths.festvox))
    names = {clip.name for clip in train}
    if any(is_recorded_dev(name) for name in names):
        raise TrainingDataError("a held-out recording is among the training recordings: run `data bundle` again")
    catalogue, units = drop_from_catalogue((paths.festvox / _CATALOGUE).read_text(), lambda name: name not in names)
    trees = drop_from_trees((paths.festvox / _TREES).read_text(), units)
    for name, text in ((_CATALOGUE, catalogue), (_TREES, trees)):
        (voice / name).parent.mkdir(parents=True, exist_ok=True)
        (voice / name).write_text(text)
    _write_marks(paths, voice / _MARKS, train)


def _write_marks(paths: DataPaths, target: Path, train: list[Clip]) -> None:
    arrays: dict[str, NDArray[Any]] = {}
    features, wanted = [], []
    for number, clip in enumerate(train):
        times, values = read_track(paths.festvox / "mcep" / f"{clip.name}.mcep")
        marks = np.round(times.astype(np.float64) * SAMPLE_RATE).astype(np.int64)
        # Distances between pitch marks, 3 to 20 ms: a byte each.
        arrays[clip.name] = np.diff(marks, prepend=0).astype(np.uint8)
        if number % _FIT_EVERY == 0:
            features.append(log_mel_at(clip.samples, marks))
            wanted.append(values)
    arrays["map"] = fit(np.concatenate(features), np.concatenate(wanted))
    np.savez(target, **arrays)


def _write_database(voice: Path, recordings: list[Clip]) -> None:
    for name in ("wav", "mcep"):
        (voice / name).mkdir(exist_ok=True)
    with np.load(voice / _MARKS) as arrays:
        matrix = arrays["map"]
        for clip in recordings:
            marks = np.cumsum(arrays[clip.name], dtype=np.int64)
            values = log_mel_at(clip.samples, marks) @ matrix
            write_track(voice / "mcep" / f"{clip.name}.mcep", marks / SAMPLE_RATE, values[:, :CHANNELS])
            with wave.open(str(voice / "wav" / f"{clip.name}.wav"), "wb") as stream:
                stream.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
                stream.writeframes(clip.samples.astype("<i2").tobytes())


def restore(folder: Path, recordings: Path, wait: bool = True) -> bool:
    """Makes the voice's unit database (wav/ and mcep/, about 110 MB) once; safe from several processes.

    Args:
        folder: what `gather` made.
        recordings: the set of training recordings, path without suffix.
        wait: False returns at once while another process is at it.

    Returns:
        True if the voice is complete.

    Raises:
        TrainingDataError: the folder or the recordings are missing.
    """
    done, marks = folder / "voice/complete", folder / "voice" / _MARKS
    if not marks.exists():
        raise TrainingDataError(f"no festival voice in {folder}: run `data bundle`, or unpack a bundle that has it")
    # A bundle that was unpacked over an older one has other marks: the database is made anew.
    wanted = f"{zlib.crc32(marks.read_bytes())}"
    if done.exists() and done.read_text() == wanted:
        return True
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        if not done.exists() or done.read_text() != wanted:
            _write_database(folder / "voice", read_set(recordings))
            (folder / "bin/festival").chmod(0o755)
            done.write_text(wanted)
    return True
