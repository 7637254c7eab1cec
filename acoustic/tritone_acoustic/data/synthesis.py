"""One synthesis worker: endless utterances of random voices, appended to a pool folder.

`python -m tritone_acoustic.data.synthesis POOL NUMBER ...` is started by `workers`; readers use `pool`.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.audio import SAMPLE_RATE, resample
from tritone_acoustic.data.console import say
from tritone_acoustic.data.conversion import convert, draw
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.festival import VOICE, Festival
from tritone_acoustic.data.festival_files import restore
from tritone_acoustic.data.pool import PoolWriter
from tritone_acoustic.data.recordings import ConvertedRecordings
from tritone_acoustic.data.rhvoice import RHVoice
from tritone_acoustic.data.speakers import VOICES, VoiceDraw
from tritone_acoustic.data.stretch import Stretcher
from tritone_acoustic.data.texts import TextSampler

# Ranges in which the voices stay intelligible (measured with an independent recogniser).
RATE = (-0.35, 0.65)
PITCH = (-0.45, 0.45)
WARP = (0.84, 1.19)
GSM_SHARE = 0.12
OPUS_SHARE = 0.05
# The unit-selection voice has one manner of speaking: it is varied afterwards.
FESTIVAL_SHARE = 0.3
FESTIVAL_SPEED = (0.85, 1.5)
FESTIVAL_PITCH = (0.85, 1.4)
FESTIVAL_PITCHED = 0.5
# Share of its utterances that other speakers get, by the vocoder.
FESTIVAL_CONVERTED = 0.5
CONVERTED_SHARE = 0.12


def codec_round_trip(samples: NDArray[np.int16], kind: str) -> NDArray[np.int16]:
    """Sends audio through a telephone codec and back.

    Args:
        samples: int16 [n], 8 kHz.
        kind: "gsm" (full rate, 13 kbit/s) or "opus" (narrow band, lowest rate).

    Returns:
        int16 [n].
    """
    import soundfile

    buffer = io.BytesIO()
    if kind == "gsm":
        soundfile.write(buffer, samples, SAMPLE_RATE, format="WAV", subtype="GSM610")
    else:
        soundfile.write(buffer, samples, SAMPLE_RATE, format="OGG", subtype="OPUS", compression_level=1.0)
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="int16", frames=len(samples), fill_value=0)
    return np.asarray(decoded, dtype=np.int16)


class Speaker:
    """Speaks random sentences in random voices.

    Args:
        voices: RHVoice's folder.
        texts: folder of the sentence lists.
        seed: makes the sequence reproducible.
        festival: the unit-selection synthesiser's folder, or None for RHVoice alone.
        recordings: set from which its unit database is made on first use, path without suffix.
        festival_share: share of the utterances that it speaks.
        converted_share: share of the utterances that are recordings in other voices; needs `recordings`.
    """

    def __init__(
        self,
        voices: Path,
        texts: Path,
        seed: int,
        festival: Path | None = None,
        recordings: Path | None = None,
        festival_share: float = FESTIVAL_SHARE,
        converted_share: float = CONVERTED_SHARE,
    ) -> None:
        self._rng = random.Random(seed)  # noqa: S311  (no secrets)
        self._engine = RHVoice(voices)
        self._draw_voice = VoiceDraw(voices)
        self._texts = TextSampler(texts, self._rng)
        self._stretch = Stretcher(voices)
        self._festival: Festival | None = None
        self._festival_folder = festival
        self._recordings = recordings
        self._festival_share = festival_share if festival else 0.0
        self._converted = ConvertedRecordings(recordings.parent, self._rng) if recordings and converted_share else None
        self._converted_share = converted_share

    def _ready_festival(self) -> Festival | None:
        """Starts the unit-selection engine; None while another worker still makes its database."""
        if self._festival is None and self._festival_folder is not None:
            try:
                if self._recordings and not restore(self._festival_folder, self._recordings, wait=False):
                    return None
                self._festival = Festival(self._festival_folder)
            except TrainingDataError as error:
                self._give_up_festival(error)
        return self._festival

    def _give_up_festival(self, error: TrainingDataError) -> None:
        # One engine less is no reason to end a training run; the worker's log says so.
        say(f"{error.user_message}; going on with RHVoice alone")
        self._festival, self._festival_share = None, 0.0

    def _with_festival(self, engine: Festival, sentence: str) -> NDArray[np.int16]:
        rng = self._rng
        if rng.random() < FESTIVAL_CONVERTED:
            narrow = resample(engine.speak(sentence), engine.sample_rate)
            return convert(narrow, draw(rng, FESTIVAL_SPEED), rng.getrandbits(32))
        speed, warp = rng.uniform(*FESTIVAL_SPEED), rng.uniform(*WARP)
        pitch = rng.uniform(*FESTIVAL_PITCH) if rng.random() < FESTIVAL_PITCHED else 1.0
        spoken = engine.speak(sentence)
        # The warp speeds up too: what is asked for is the speed after it.
        stretched = self._stretch(spoken, engine.sample_rate, speed / warp, pitch)
        return resample(stretched, engine.sample_rate, warp)

    def _with_rhvoice(self, sentence: str, voice: str) -> NDArray[np.int16]:
        rng = self._rng
        wide = self._engine.speak(VOICES[voice].read(sentence), voice, rng.uniform(*RATE), rng.uniform(*PITCH))
        return resample(wide, self._engine.sample_rate, rng.uniform(*WARP))

    def utterance(self) -> tuple[str, str, NDArray[np.int16]]:
        """Synthesises the next utterance.

        Returns:
            Voice, normalised transcript and int16 [n] samples at 8 kHz.
        """
        voice, label, samples = self._spoken()
        codec = self._rng.random()
        if codec < GSM_SHARE + OPUS_SHARE:
            samples = codec_round_trip(samples, "gsm" if codec < GSM_SHARE else "opus")
        return voice, label, samples

    def _spoken(self) -> tuple[str, str, NDArray[np.int16]]:
        rng = self._rng
        if self._converted and rng.random() < self._converted_share:
            return "converted", *self._converted.utterance()
        while True:
            sentence, label = self._texts.draw()
            engine = self._ready_festival() if rng.random() < self._festival_share else None
            voice = self._draw_voice(rng) if engine is None else VOICE
            try:
                samples = self._with_festival(engine, sentence) if engine else self._with_rhvoice(sentence, voice)
            except RuntimeError:
                continue  # a text that the engine has nothing to say about
            except TrainingDataError as error:
                self._give_up_festival(error)
                continue
            return voice, label, samples


def main(arguments: list[str] | None = None) -> None:
    """Runs one worker until its parent ends.

    Args:
        arguments: command line without the program name; None reads sys.argv.
    """
    parser = argparse.ArgumentParser(description="One synthesis worker; started by the trainer.")
    parser.add_argument("pool", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("--voices", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--festival", type=Path, default=None, help="unit-selection synthesiser (default: none)")
    parser.add_argument("--recordings", type=Path, default=None, help="set that holds its recordings, without suffix")
    parser.add_argument("--festival-share", type=float, default=FESTIVAL_SHARE, help="share of its utterances")
    parser.add_argument("--converted-share", type=float, default=CONVERTED_SHARE, help="recordings in other voices")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--utterances", type=int, default=0, help="stop after so many (0: never)")
    options = parser.parse_args(arguments)
    parent = os.getppid()
    os.nice(5)  # the trainer must never wait for a worker
    seed = zlib.crc32(f"{options.seed} {options.number} {os.getpid()}".encode())
    speaker = Speaker(
        options.voices,
        options.texts,
        seed,
        options.festival,
        options.recordings,
        options.festival_share,
        options.converted_share,
    )
    done = 0
    with PoolWriter(options.pool, options.number) as writer:
        while os.getppid() == parent and not (options.utterances and done >= options.utterances):
            writer.append(*speaker.utterance())
            done += 1


if __name__ == "__main__":
    main()
