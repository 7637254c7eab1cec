"""Reads telephone prompts that speakers of other languages recorded, with transcripts respelt in Russian letters.

Only which prompts are used and how they are read; sounds and letters are in `espeak` and `ipa_letters`.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tritone_acoustic.data.audio import Clip
from tritone_acoustic.data.espeak import Espeak
from tritone_acoustic.data.foreign_misfits import MISFITS
from tritone_acoustic.data.ipa_letters import russian_letters
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.small_recordings import fits, read_recording


@dataclass(frozen=True)
class Speaker:
    """One speaker's prompts.

    Attributes:
        folder: name of the folder of wav files, which names country, sex and speaker.
        text: the package with the transcripts (core-sounds-LANGUAGE.txt.gz).
        language: a voice of eSpeak NG.
    """

    folder: str
    text: str
    language: str


SPEAKERS = (
    Speaker("es_MX_f_Allison", "es", "es-419"),
    Speaker("it_IT_m_Carlo", "it", "it"),
    # Her package has no transcripts, but nearly all of her prompts say the same.
    Speaker("it_IT_f_Menardi", "it", "it"),
    Speaker("fr_CA_f_June", "fr", "fr"),
)
LONGEST = 11.0
"""Seconds; longer ones would not fit in a row of a batch beside the silence around them."""
_LETTERS = "letters/"  # single letters by their names
# Anything else marks what is not said as written: [tones], (remarks), either/or, signs by their names.
_WRITTEN = re.compile(r"[\w\s.,;:!?¡¿'’…-]+")
# Abbreviations are spelt, in one language or another; a question mark inside stands for a letter that was lost.
_UNSURE = re.compile(r"\b[^\W\d_a-zà-ÿ]{2,}|\?(?=\s*\w)")
# The Spanish transcripts have no ñ; other lost marks do not change the sounds.
_LOST = (
    (re.compile(r"\bcontraseni?a", re.IGNORECASE), "contraseña"),
    (re.compile(r"\bmanana", re.IGNORECASE), "mañana"),
)


def read_transcripts(content: str) -> dict[str, str]:
    """Reads a list of prompts.

    Args:
        content: lines of name, colon and transcript; a semicolon begins a comment.

    Returns:
        Prompt name -> transcript, of the prompts that are said as they are written.
    """
    transcripts: dict[str, str] = {}
    for line in content.lstrip("\ufeff").splitlines():
        name, colon, text = line.partition(":")
        text = text.strip()
        if not colon or name.startswith((";", _LETTERS)) or not _WRITTEN.fullmatch(text) or _UNSURE.search(text):
            continue
        for pattern, word in _LOST:
            text = pattern.sub(word, text)
        transcripts[name.strip()] = text
    return transcripts


def respell(transcripts: dict[str, str], ipa: Callable[[str], str]) -> dict[str, str]:
    """Writes transcripts in Russian letters.

    Args:
        transcripts: prompt name -> transcript.
        ipa: how a text is pronounced.

    Returns:
        Prompt name -> respelt transcript; those with words that are read by another language's rules are left out.
    """
    spoken = {name: ipa(text) for name, text in transcripts.items()}
    return {name: russian_letters(sounds) for name, sounds in spoken.items() if "(" not in sounds}


def read_foreign(paths: DataPaths) -> list[Clip]:
    """Reads the prompts of all foreign speakers.

    Args:
        paths: the data folder, after `fetch`.

    Returns:
        One clip per distinct recording that fits its respelt transcript.

    Raises:
        TrainingDataError: the pronunciation rules are missing.
    """
    espeak = Espeak(paths)
    clips: list[Clip] = []
    seen: set[bytes] = set()
    for speaker in SPEAKERS:
        listed = f"usr/share/doc/asterisk-core-sounds-{speaker.text}/core-sounds-{speaker.text}.txt.gz"
        content = gzip.decompress((paths.packages / listed).read_bytes()).decode()
        texts = respell(read_transcripts(content), partial(espeak.ipa, language=speaker.language))
        for name, text in texts.items():
            path = paths.asterisk_sounds / speaker.folder / f"{name}.wav"
            if name in MISFITS.get(speaker.folder, ()) or not path.exists() or (data := path.read_bytes()) in seen:
                continue
            seen.add(data)  # several prompts share a recording
            samples = read_recording(path)
            if len(samples) <= LONGEST * 8000 and fits(text, samples):
                clips.append(Clip(name, speaker.folder, text, samples))
    return clips
