"""Gathers a small relocatable synthesiser folder from the unpacked packages.

Only copying; `rhvoice` loads the result.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.paths import DataPaths


def gather_voices(paths: DataPaths, target: Path, names: tuple[str, ...]) -> None:
    """Copies libraries, Russian rules and the 24 kHz data of some voices.

    Args:
        paths: the data folder, after `fetch`.
        target: folder to (re)create with lib/, languages/ and voices/.
        names: voice names, e.g. ("Anna",).

    Raises:
        TrainingDataError: the packages are not there.
    """
    share = paths.packages / "usr/share/RHVoice"
    if not share.is_dir():
        raise TrainingDataError(f"no RHVoice in {paths.packages}: run `data fetch` first")
    shutil.rmtree(target, ignore_errors=True)
    (target / "lib").mkdir(parents=True)
    (target / "config").mkdir()
    for name in ("libsonic.so.0", "libRHVoice_core.so.7", "libRHVoice.so.5"):
        library = next((paths.packages / "usr/lib").glob(f"*/{name}"))
        shutil.copyfile(library, target / "lib" / name)
    shutil.copytree(share / "languages/Russian", target / "languages/Russian")
    for name in names:
        shutil.copytree(
            share / "voices" / name.lower(),
            target / "voices" / name.lower(),
            ignore=shutil.ignore_patterns("16000"),
        )
