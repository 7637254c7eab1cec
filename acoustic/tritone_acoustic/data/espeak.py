"""The pronunciation rules of eSpeak NG through its C library: foreign text in, IPA out.

Nothing is spoken here; which Russian letters sound alike is in `ipa_letters`.
"""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from pathlib import Path

from tritone_acoustic.data.elf import make_optional
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.paths import DataPaths

_AUDIO = "libpcaudio.so.0"
# With which the audio library is linked; no machine that only reads rules needs them.
_SOUND_CARDS = frozenset({"libasound.so.2", "libpulse.so.0", "libpulse-simple.so.0"})
_UTF8, _IPA = 1, 2


class Espeak:
    """The rules of all languages; the library keeps one state per process, so one object is enough.

    Args:
        paths: the data folder, after `fetch`.

    Raises:
        TrainingDataError: the packages are not there, or a library does not load.
    """

    def __init__(self, paths: DataPaths) -> None:
        folder = next(iter((paths.packages / "usr/lib").glob("*/espeak-ng-data")), None)
        if folder is None:
            raise TrainingDataError(f"no espeak-ng in {paths.packages}: run `data fetch` first")
        libraries = folder.parent
        try:
            with tempfile.TemporaryDirectory() as place:
                audio = Path(place) / _AUDIO
                shutil.copyfile(libraries / _AUDIO, audio)
                make_optional(audio, _SOUND_CARDS)
                # Loaded in the order in which they need each other, by path: the system does not know them.
                for path in (audio, libraries / "libsonic.so.0"):
                    ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
                self._library = ctypes.CDLL(str(libraries / "libespeak-ng.so.1"))
        except OSError as error:
            raise TrainingDataError(f"espeak-ng does not load ({error}): run `data fetch` again") from error
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._library.espeak_TextToPhonemes.argtypes = (
            ctypes.POINTER(ctypes.c_char_p),
            ctypes.c_int,
            ctypes.c_int,
        )
        # Not espeak_Initialize, which opens a sound card even if none is wanted.
        self._library.espeak_ng_InitializePath(str(libraries.resolve()).encode())
        if self._library.espeak_ng_Initialize(None):
            raise TrainingDataError(f"espeak-ng cannot read {folder}: run `data fetch` again")

    def ipa(self, text: str, language: str) -> str:
        """Says how a text is pronounced.

        Args:
            text: as written, with digits and punctuation.
            language: a voice of eSpeak NG, such as "it" or "es-419".

        Returns:
            Words in IPA, joined by single spaces; "(en)" marks words read by the rules of another language.

        Raises:
            TrainingDataError: there is no such language.
        """
        if self._library.espeak_ng_SetVoiceByName(language.encode()):
            raise TrainingDataError(f"espeak-ng has no language {language}")
        rest = ctypes.c_char_p(text.encode())
        clauses: list[str] = []
        while rest.value is not None:  # one clause per call; the pointer is null after the last
            clauses.append(self._library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA).decode())
        return " ".join(" ".join(clauses).split())
