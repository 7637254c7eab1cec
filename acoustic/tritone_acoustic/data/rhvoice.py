"""The RHVoice synthesiser through its C library: text in, int16 samples out.

One engine per process; no sample-rate conversion here, and the choice of voices is in `speakers`.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.errors import TrainingDataError

_LIBRARIES = ("libsonic.so.0", "libRHVoice_core.so.7", "libRHVoice.so.5")
_RATE_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_SPEECH_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_uint, ctypes.c_void_p)


class _Callbacks(ctypes.Structure):
    # The optional callbacks (marks, words, sentences, audio, done) stay null.
    _fields_ = (
        ("set_sample_rate", _RATE_CALLBACK),
        ("play_speech", _SPEECH_CALLBACK),
        ("optional", ctypes.c_void_p * 7),
    )


class _InitParams(ctypes.Structure):
    _fields_ = (
        ("data_path", ctypes.c_char_p),
        ("config_path", ctypes.c_char_p),
        ("resource_paths", ctypes.POINTER(ctypes.c_char_p)),
        ("callbacks", _Callbacks),
        ("options", ctypes.c_uint),
    )


class _SynthParams(ctypes.Structure):
    _fields_ = (
        ("voice_profile", ctypes.c_char_p),
        ("absolute", ctypes.c_double * 3),  # rate, pitch, volume in -1..1
        ("relative", ctypes.c_double * 3),
        ("punctuation_mode", ctypes.c_int),
        ("punctuation_list", ctypes.c_char_p),
        ("capitals_mode", ctypes.c_int),
        ("flags", ctypes.c_int),
    )


class RHVoice:
    """One synthesiser engine.

    Args:
        folder: holds lib/ (three shared libraries), languages/ and voices/.

    Raises:
        TrainingDataError: the folder is incomplete or a library does not load.
    """

    def __init__(self, folder: Path) -> None:
        try:
            loaded = [ctypes.CDLL(str(folder / "lib" / name), mode=ctypes.RTLD_GLOBAL) for name in _LIBRARIES]
        except OSError as error:
            raise TrainingDataError(f"cannot load RHVoice from {folder}/lib: {error}") from error
        self._library: Any = loaded[-1]
        self._library.RHVoice_new_tts_engine.restype = ctypes.c_void_p
        self._library.RHVoice_new_tts_engine.argtypes = [ctypes.POINTER(_InitParams)]
        self._library.RHVoice_new_message.restype = ctypes.c_void_p
        self._library.RHVoice_new_message.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.POINTER(_SynthParams),
            ctypes.c_void_p,
        ]
        self._library.RHVoice_speak.argtypes = [ctypes.c_void_p]
        self._library.RHVoice_delete_message.argtypes = [ctypes.c_void_p]
        self._blocks: list[NDArray[np.int16]] = []
        self.sample_rate = 0

        # The callbacks must outlive the engine: ctypes keeps no reference to them.
        self._on_rate = _RATE_CALLBACK(self._set_rate)
        self._on_speech = _SPEECH_CALLBACK(self._take)
        params = _InitParams()
        params.data_path = str(folder).encode()
        params.config_path = str(folder / "config").encode()
        params.callbacks.set_sample_rate = self._on_rate
        params.callbacks.play_speech = self._on_speech
        self._engine = self._library.RHVoice_new_tts_engine(ctypes.byref(params))
        if not self._engine:
            raise TrainingDataError(f"RHVoice found no voice in {folder}: run `data fetch` and `data bundle`")

    def _set_rate(self, rate: int, _user: int | None) -> int:
        self.sample_rate = rate
        return 1

    def _take(self, samples: Any, count: int, _user: int | None) -> int:
        self._blocks.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
        return 1

    def speak(self, text: str, voice: str, rate: float = 0.0, pitch: float = 0.0) -> NDArray[np.int16]:
        """Synthesises one sentence.

        Args:
            text: Russian text, numbers already spelt out.
            voice: name of a voice, e.g. "Anna".
            rate: speed, -1 (slowest) to 1.
            pitch: -1 (lowest) to 1.

        Returns:
            int16 samples [n] at `sample_rate`, which depends on the folder's configuration.

        Raises:
            RuntimeError: the engine refused the text or the voice.
        """
        self._blocks = []
        params = _SynthParams()
        params.voice_profile = voice.encode()
        params.absolute[:] = [rate, pitch, 0.0]
        params.relative[:] = [1.0, 1.0, 1.0]
        data = text.encode()
        message = self._library.RHVoice_new_message(self._engine, data, len(data), 0, ctypes.byref(params), None)
        if not message:
            raise RuntimeError(f"RHVoice refused {voice!r}: {text!r}")
        try:
            if not self._library.RHVoice_speak(message) or not self._blocks:
                raise RuntimeError(f"RHVoice said nothing for {voice!r}: {text!r}")
        finally:
            self._library.RHVoice_delete_message(message)
        return np.concatenate(self._blocks)
