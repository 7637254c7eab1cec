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
from tritone_acoustic.data.pool import PoolWriter
from tritone_acoustic.data.rhvoice import FREE_VOICES, RHVoice
from tritone_acoustic.data.texts import TextSampler

# Ranges in which the voices stay intelligible (measured with an independent recogniser).
RATE = (-0.35, 0.65)
PITCH = (-0.45, 0.45)
WARP = (0.84, 1.19)
GSM_SHARE = 0.12
OPUS_SHARE = 0.05


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
        voices: synthesiser folder.
        texts: folder of the sentence lists.
        seed: makes the sequence reproducible.
    """

    def __init__(self, voices: Path, texts: Path, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311  (no secrets)
        self._engine = RHVoice(voices)
        self._texts = TextSampler(texts, self._rng)

    def utterance(self) -> tuple[str, str, NDArray[np.int16]]:
        """Synthesises the next utterance.

        Returns:
            Voice, normalised transcript and int16 [n] samples at 8 kHz.
        """
        rng = self._rng
        while True:
            sentence, label = self._texts.draw()
            voice = rng.choice(FREE_VOICES)
            try:
                wide = self._engine.speak(sentence, voice, rng.uniform(*RATE), rng.uniform(*PITCH))
            except RuntimeError:
                continue  # a text that the engine has nothing to say about
            samples = resample(wide, self._engine.sample_rate, rng.uniform(*WARP))
            draw = rng.random()
            if draw < GSM_SHARE + OPUS_SHARE:
                samples = codec_round_trip(samples, "gsm" if draw < GSM_SHARE else "opus")
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
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--utterances", type=int, default=0, help="stop after so many (0: never)")
    options = parser.parse_args(arguments)
    parent = os.getppid()
    os.nice(5)  # the trainer must never wait for a worker
    seed = zlib.crc32(f"{options.seed} {options.number} {os.getpid()}".encode())
    speaker = Speaker(options.voices, options.texts, seed)
    done = 0
    with PoolWriter(options.pool, options.number) as writer:
        while os.getppid() == parent and not (options.utterances and done >= options.utterances):
            writer.append(*speaker.utterance())
            done += 1


if __name__ == "__main__":
    main()
