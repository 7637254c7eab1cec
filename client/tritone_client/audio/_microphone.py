"""The microphone, through PortAudio and the package `sounddevice` (the extra ``microphone``).

Imported only by `tritone listen`. The device's own rate is used and the service resamples: few sound cards know 8 kHz.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from typing import Any

from tritone_client._chunker import Chunker
from tritone_client._errors import AudioFileError
from tritone_client._options import Options
from tritone_client._wire import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE

_BLOCK_MS = 20


class Microphone:
    """One input device as a source of 16-bit PCM. See `Source` for the attributes.

    Args:
        device: its number or a part of its name; None for the system's default.
        sample_rate: in Hz; None for the device's own.

    Raises:
        AudioFileError: there is no such device, or no PortAudio.
        InvalidOption: the rate is impossible.
        ModuleNotFoundError: `sounddevice` is not installed.
    """

    encoding = "pcm_s16le"

    def __init__(self, device: str | None = None, sample_rate: int | None = None) -> None:
        self._sounddevice = _load()
        self._device: int | str | None = int(device) if device is not None and device.isdigit() else device
        try:
            found = self._sounddevice.query_devices(self._device, "input")
        except (ValueError, self._sounddevice.PortAudioError) as error:
            wanted = "a microphone" if device is None else f"a microphone {device!r}"
            raise AudioFileError(
                f"{wanted} was not found; 'tritone listen --list-devices' shows them, --stdin does without"
            ) from error
        own_rate = min(max(round(found["default_samplerate"]), MIN_SAMPLE_RATE), MAX_SAMPLE_RATE)
        options = Options(sample_rate=sample_rate or own_rate)
        self.name = str(found["name"])
        self.sample_rate = options.sample_rate
        self.seconds: float | None = None
        self.notes: list[str] = []
        self.problem: str | None = None
        self._chunker = Chunker(options)

    async def blocks(self, block_ms: int) -> AsyncIterator[bytes]:
        """Yield what was heard, whole chunks at a time, without end; `block_ms` does not matter to live audio."""
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        def keep(data: Any, frames: int, times: Any, status: Any) -> None:  # on PortAudio's thread
            loop.call_soon_threadsafe(heard.put_nowait, bytes(data))

        try:
            stream = self._sounddevice.RawInputStream(
                device=self._device,
                channels=1,
                dtype="int16",
                samplerate=self.sample_rate,
                blocksize=self.sample_rate * _BLOCK_MS // 1000,
                callback=keep,
            )
        except self._sounddevice.PortAudioError as error:
            raise AudioFileError(
                f"{self.name} cannot record at {self.sample_rate} Hz ({error}); try another --sample-rate"
            ) from error
        with stream:
            while True:
                if piece := self._chunker.push(await heard.get()):
                    yield piece

    def close(self) -> None:
        """Nothing to do: the device is held only while blocks are read."""


def devices() -> list[str]:
    """The input devices, one line each: number, name, rate.

    Raises:
        AudioFileError: there is none, or no PortAudio.
        ModuleNotFoundError: `sounddevice` is not installed.
    """
    lines = [
        f"{number:3}  {item['name']}  ({item['default_samplerate']:.0f} Hz)"
        for number, item in enumerate(_load().query_devices())
        if item["max_input_channels"] > 0
    ]
    if not lines:
        raise AudioFileError("this machine has no microphone; --stdin takes raw audio from a pipe")
    return lines


def _load() -> Any:
    try:
        return importlib.import_module("sounddevice")
    except OSError as error:  # the package is there, the library below it is not
        raise AudioFileError("PortAudio is missing; install it (Debian, Ubuntu: apt install libportaudio2)") from error
