"""Reads two small collections of recorded Russian words: captions of drawing stamps, and syllables.

Only which recordings fit their text; conversion of sets is in `sets`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.audio import Clip, resample
from tritone_acoustic.data.normalize import normalize
from tritone_acoustic.data.paths import DataPaths

# Seconds per letter of what a person says in one breath; outside it, text and audio cannot belong together.
_PACE = (0.05, 0.35)
# Recordings of which the first default model heard nearly nothing of the caption (greedy CER over 80 %): wrongly
# captioned ones are among them.
MISFITS = frozenset(
    [
        "0",
        "0_sun",
        "3",
        "Woodlouse",
        "ant",
        "bikini",
        "broccoli",
        "brownhat",
        "brownhat2",
        "cherries",
        "cherries2",
        "clock",
        "clockface",
        "daffodil",
        "dolphin",
        "ferret",
        "flower7",
        "hunter",
        "iguana",
        "kangaroo-silo",
        "knitting",
        "lion",
        "lion-2",
        "mad",
        "monastery",
        "moon_full",
        "mushroom",
        "no_uturn",
        "pattypan_squash",
        "pecan",
        "penguin",
        "pomegranate",
        "rabbit",
        "rugby_goal_posts",
        "smallcake",
        "sombrero",
        "statue",
        "tent",
        "tepee",
        "tiger",
        "toy_truck",
        "tyre_with_rim",
        "walnut",
        "walnutBoat",
        "wapiti",
        "xanthia",
        "xmas_tp_bulb",
    ]
)
_CAPTION = "ru.utf8="
_SPOKEN = "_desc_ru.ogg"


def read_recording(path: Path) -> NDArray[np.int16]:
    """Reads any audio file, mixed to one channel.

    Args:
        path: a file that libsndfile reads.

    Returns:
        int16 [n], 8 kHz.
    """
    import soundfile

    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    return resample(samples.mean(axis=1).astype(np.int16), rate)


def fits(text: str, samples: NDArray[np.int16]) -> bool:
    """Says whether a recording is about as long as its transcript takes to say.

    Args:
        text: normalised.
        samples: int16 [n], 8 kHz.

    Returns:
        False for an empty text, silence, or an impossible pace.
    """
    if not text or not np.abs(samples).max(initial=0) > 300:
        return False
    return _PACE[0] <= len(samples) / 8000 / len(text) <= _PACE[1]


def caption(path: Path) -> str:
    """Reads the Russian caption of a stamp.

    Args:
        path: its text file: English, then one line per language.

    Returns:
        Normalised caption; empty if there is none that is said as written (foreign letters, digits, signs).
    """
    if not path.exists():
        return ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(_CAPTION):
            written = line.removeprefix(_CAPTION)
            text = normalize(written)
            spelt = re.search(r"[A-Za-z0-9№%&+=]", written) or all(len(word) == 1 for word in text.split())
            return "" if spelt else text
    return ""


def read_stamps(paths: DataPaths) -> list[Clip]:
    """Reads the spoken captions of Tux Paint's stamps: one man, a microphone at home.

    Args:
        paths: the data folder, after `fetch`.

    Returns:
        One clip per distinct recording that fits its caption.
    """
    root = paths.packages / "usr/share/tuxpaint/stamps"
    clips: list[Clip] = []
    seen: set[bytes] = set()
    for path in sorted(root.rglob(f"*{_SPOKEN}")):
        content = path.read_bytes()
        stem = path.name.removesuffix(_SPOKEN)
        text = caption(path.with_name(f"{stem}.txt"))
        if not text or content in seen or stem in MISFITS:
            continue
        seen.add(content)  # several stamps share a recording
        samples = read_recording(path)
        if fits(text, samples):
            clips.append(Clip(stem, "stamps", text, samples))
    return clips


def _syllables(index: str) -> Iterator[tuple[str, str]]:
    body = index.partition("<syllables>")[2].partition("</syllables>")[0]
    for name, file in re.findall(r'<sound\s+name="([^"]+)"\s+file="([^"]+)"', body):
        yield name.replace("O", "О"), file  # one syllable is written with a Latin letter


def read_letters(paths: DataPaths) -> list[Clip]:
    """Reads KLettres' Russian syllables; its single letters are left out, for they are said by their names.

    Args:
        paths: the data folder, after `fetch`.

    Returns:
        One clip per syllable that is said as it is written.
    """
    root = paths.packages / "usr/share/klettres"
    clips: list[Clip] = []
    for name, file in _syllables((root / "ru/sounds.xml").read_text(encoding="utf-8")):
        text = normalize(name)
        path = root / file
        if path.exists() and len(text) >= 2 and re.search("[аеёиоуыэюя]", text):
            samples = read_recording(path)
            if np.abs(samples).max(initial=0) > 300:
                clips.append(Clip(path.stem, "letters", text, samples))
    return clips
