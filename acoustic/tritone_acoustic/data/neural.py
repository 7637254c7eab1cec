"""Russian sentences in the voices of a neural synthesiser that knows other languages, with their accents.

What is said, by whom and how it is written in IPA; the synthesiser is `kokoro`, pronunciation is asked of `espeak`.
"""

from __future__ import annotations

import itertools
import os
import random
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.audio import Clip, read_set, resample, write_set
from tritone_acoustic.data.console import say
from tritone_acoustic.data.espeak import Espeak
from tritone_acoustic.data.kokoro import SAMPLE_RATE, Kokoro
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.small_recordings import fits
from tritone_acoustic.data.texts import TextSampler

HELD_OUT = ("af_nova", "am_puck", "bf_lily", "im_nicola", "jf_gongitsune", "zm_yunyang")
"""Voices that are never trained on: they say the set neural_dev."""
SPEED = (0.8, 1.25)
WARP = (0.9, 1.12)
MIXED = 0.5
"""Share of the utterances whose speaker is half-way between two voices."""
LETTERS = (4, 85)
"""Length of a sentence: a voice has no styles for much longer ones."""
_PART = 60  # utterances a process speaks at a time
# eSpeak's IPA for Russian, in the alphabet of Kokoro; a soft ch is one symbol there.
_SYMBOLS = (("tʃʲ", "ʨ"), ("ts", "ʦ"), ("y", "ɨ"), ("ɭ", "l"), ("ɑ", "a"), ("ʌ", "ɐ"), ("ɵ", "o"), ("ʑ", "zʲ"))
# No language of Kokoro has all sounds of Russian: speakers differ in which stand in for them.
_HABITS = (("ʲ", "j", 0.55), ("ɨ", "ɪ", 0.3), ("ʃ", "ʂ", 0.3))


def symbols(ipa: str, rng: random.Random) -> str:
    """Writes IPA in symbols that Kokoro knows.

    Args:
        ipa: of eSpeak's Russian rules.
        rng: draws the speaker's habits.

    Returns:
        The same sounds, or others that stand in for them.
    """
    for sound, symbol in _SYMBOLS:
        ipa = ipa.replace(sound, symbol)
    for sound, symbol, share in _HABITS:
        if rng.random() < share:
            ipa = ipa.replace(sound, symbol)
    return ipa


def read_neural(paths: DataPaths, sentences: list[str]) -> list[Clip]:
    """Speaks sentences in the voices that are held out.

    Args:
        paths: the data folder, after `fetch`.
        sentences: normalised texts.

    Returns:
        One clip per sentence, the voices in turn.

    Raises:
        TrainingDataError: the synthesiser or the pronunciation rules are missing.
    """
    kokoro, espeak = Kokoro(paths.kokoro), Espeak(paths)
    rng = random.Random(1)  # noqa: S311  (no secrets)
    clips: list[Clip] = []
    for number, text in enumerate(sentences):
        voice = HELD_OUT[number % len(HELD_OUT)]
        wide = kokoro.speak(symbols(espeak.ipa(text, "ru"), rng), kokoro.voices[voice], 1.0)
        clips.append(Clip(f"neural-{number}", voice, text, resample(wide, SAMPLE_RATE)))
    return clips


class NeuralSpeaker:
    """Speaks random sentences in random voices.

    Args:
        paths: the data folder, after `fetch` and `texts`.
        seed: makes the sequence reproducible.

    Raises:
        TrainingDataError: a part is missing.
    """

    def __init__(self, paths: DataPaths, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311  (no secrets)
        self._kokoro, self._espeak = Kokoro(paths.kokoro), Espeak(paths)
        self._texts = TextSampler(paths.texts, self._rng)
        self._names = sorted(set(self._kokoro.voices) - set(HELD_OUT))

    def _speaker(self) -> tuple[str, NDArray[np.floating[Any]]]:
        rng, voices = self._rng, self._kokoro.voices
        name = rng.choice(self._names)
        if rng.random() >= MIXED:
            return name, voices[name]
        other, share = rng.choice(self._names), np.float32(rng.uniform(0.2, 0.8))
        return f"{name}+{other}", share * voices[name] + (1 - share) * voices[other]

    def _text(self) -> str:
        while True:
            _, text = self._texts.draw()
            if LETTERS[0] <= len(text) <= LETTERS[1]:
                return text

    def utterance(self) -> tuple[str, str, NDArray[np.int16]]:
        """Speaks the next utterance; what comes out too long or too short for its text is left out.

        Returns:
            Voice, normalised transcript and int16 [n] samples at 8 kHz, with little silence around the speech.
        """
        rng = self._rng
        while True:
            text = self._text()
            voice, style = self._speaker()
            wide = self._kokoro.speak(symbols(self._espeak.ipa(text, "ru"), rng), style, rng.uniform(*SPEED))
            loud = np.flatnonzero(np.abs(wide) > 160)
            if not len(loud):
                continue
            spoken = wide[max(0, loud[0] - SAMPLE_RATE // 20) : loud[-1] + SAMPLE_RATE // 10]
            samples = resample(spoken, SAMPLE_RATE, rng.uniform(*WARP))
            if fits(text, samples):
                return voice, text, samples


def _speak_part(root: Path, number: int) -> list[Clip]:
    speaker = NeuralSpeaker(DataPaths(root), number)
    spoken = (speaker.utterance() for _ in range(_PART))
    return [Clip(f"neural-{number}-{place}", *clip) for place, clip in enumerate(spoken)]


def write_neural_set(paths: DataPaths, hours: float) -> None:
    """Speaks the set neural_train, in one process per core, or what an existing one lacks.

    What is spoken when it is interrupted or fails is kept.

    Args:
        paths: the data folder, after `fetch` and `texts`.
        hours: of audio, with what is there.

    Raises:
        TrainingDataError: a part is missing.
    """
    stem = paths.sets / "neural_train"
    clips = read_set(stem) if stem.with_suffix(".tsv").exists() else []
    old = len(clips)
    # a part's number is the seed of what it says, so the next ones say something else
    numbers = itertools.count(1 + max((int(clip.name.split("-")[1]) for clip in clips), default=-1))
    # spawned: the rules' library keeps one state per process, and threads of this one hold no locks there
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
        running: set[Future[list[Clip]]] = set()
        try:
            while (heard := sum(len(clip.samples) for clip in clips) / 8000 / 3600) < hours:
                say(f"{heard:.2f} of {hours:g} h of neural voices")
                while len(running) < (os.cpu_count() or 1):
                    running.add(processes.submit(_speak_part, paths.root, next(numbers)))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for part in done:
                    clips += part.result()
        finally:
            processes.shutdown(cancel_futures=True)
            if len(clips) > old:
                write_set(clips, stem)
