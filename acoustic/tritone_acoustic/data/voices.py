"""Gathers a small relocatable synthesiser folder from the unpacked packages.

Only copying; `rhvoice` loads the result.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.paths import DataPaths

# The engine's lowest quality: 16 kHz, twice what a telephone carries; it is smaller and a third faster than 24 kHz.
_QUALITY, _RATE = "min", "16000"


def _language(voice: Path) -> str:
    lines = (voice / "voice.info").read_text(encoding="utf-8").splitlines()
    return next(line.partition("=")[2].strip() for line in lines if line.startswith("language="))


def gather_voices(paths: DataPaths, target: Path, names: tuple[str, ...]) -> None:
    """Copies libraries, some voices, and the rules of their languages.

    Args:
        paths: the data folder, after `fetch`.
        target: folder to (re)create with lib/, config/, languages/ and voices/.
        names: voice names, e.g. ("Anna",).

    Raises:
        TrainingDataError: the packages or a voice are not there.
    """
    share = paths.packages / "usr/share/RHVoice"
    missing = [name for name in names if not (share / "voices" / name.lower()).is_dir()]
    if missing:
        raise TrainingDataError(f"no RHVoice voice {', '.join(missing)} in {paths.packages}: run `data fetch` first")
    shutil.rmtree(target, ignore_errors=True)
    (target / "lib").mkdir(parents=True)
    (target / "config").mkdir()
    (target / "config/RHVoice.conf").write_text(f"quality={_QUALITY}\n")
    for name in ("libsonic.so.0", "libRHVoice_core.so.7", "libRHVoice.so.5"):
        library = next((paths.packages / "usr/lib").glob(f"*/{name}"))
        shutil.copyfile(library, target / "lib" / name)
    voices = [share / "voices" / name.lower() for name in names]
    for language in sorted({_language(voice) for voice in voices}):
        shutil.copytree(share / "languages" / language, target / "languages" / language)
    for voice in voices:
        # voice.data holds the same models once more, for an engine that is not used here: half of a voice's size.
        unused = shutil.ignore_patterns("voice.data")
        shutil.copytree(voice / _RATE, target / "voices" / voice.name / _RATE, ignore=unused)
        for name in ("voice.info", "voice.params"):
            shutil.copyfile(voice / name, target / "voices" / voice.name / name)
