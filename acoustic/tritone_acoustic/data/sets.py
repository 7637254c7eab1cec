"""Builds the recorded training set and the evaluation sets under data/sets.

Where their texts and audio come from is in `corpora`, `texts` and `rhvoice`; training reads the result.
"""

from __future__ import annotations

import random
import tempfile
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.audio import Clip, resample, write_set
from tritone_acoustic.data.breaths import write_cuts
from tritone_acoustic.data.console import say
from tritone_acoustic.data.corpora import read_festvox_text, read_prompts
from tritone_acoustic.data.festival_files import gather as gather_festival
from tritone_acoustic.data.foreign import read_foreign
from tritone_acoustic.data.neural import LETTERS, read_neural
from tritone_acoustic.data.normalize import normalize
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.rhvoice import RHVoice
from tritone_acoustic.data.small_recordings import read_letters, read_stamps
from tritone_acoustic.data.speakers import EVALUATION_VOICES, RUSSIAN_VOICES, VOICES
from tritone_acoustic.data.texts import is_recorded_dev, prompt_transcripts, read_rows
from tritone_acoustic.data.toys import read_toys
from tritone_acoustic.data.voices import gather_voices

HELD_OUT_VOICE_SENTENCES = 60
NEURAL_SENTENCES = 60
_SEED = 7


def read_wav(path: Path) -> tuple[NDArray[np.int16], int]:
    """Reads a mono 16-bit wav file.

    Args:
        path: the file.

    Returns:
        int16 [n] and its sample rate.
    """
    with wave.open(str(path)) as stream:
        data = stream.readframes(stream.getnframes())
        return np.frombuffer(data, "<i2").astype(np.int16), stream.getframerate()


def _festvox(paths: DataPaths) -> tuple[list[Clip], list[Clip]]:
    train: list[Clip] = []
    dev: list[Clip] = []
    for name, text in read_festvox_text(paths).items():
        samples, rate = read_wav(paths.festvox / "wav" / f"{name}.wav")
        clip = Clip(name, "festvox", normalize(text), resample(samples, rate))
        (dev if is_recorded_dev(name) else train).append(clip)
    return train, dev


def _prompts(paths: DataPaths) -> list[Clip]:
    recordings = read_prompts(paths)
    clips: list[Clip] = []
    for name, text in prompt_transcripts(paths).items():
        if name in recordings:
            samples, rate = read_wav(recordings[name])
            clips.append(Clip(name, "prompts", text, samples if rate == 8000 else resample(samples, rate)))
    return clips


def _spoken(engine_folder: Path, voices: tuple[str, ...], rows: list[tuple[str, str]]) -> list[Clip]:
    engine = RHVoice(engine_folder)
    rng = random.Random(_SEED)  # noqa: S311  (no secrets)
    clips: list[Clip] = []
    for number, (source, sentence) in enumerate(rows):
        voice = voices[number % len(voices)]
        wide = engine.speak(sentence, voice, rng.uniform(-0.2, 0.4), rng.uniform(-0.2, 0.2))
        samples = resample(wide, engine.sample_rate)
        clips.append(Clip(f"{source}-{number}", voice, normalize(sentence), samples))
    return clips


def write_sets(paths: DataPaths, private_voices: bool) -> None:
    """Writes the *_train sets of recordings and all evaluation sets.

    Args:
        paths: the data folder, after `fetch` and `texts`; its voices and festival folders are (re)made.
        private_voices: also make the set of the voices that may be used for private evaluation only.
    """
    train, dev = _festvox(paths)
    sets = {"festvox_train": train, "festvox_dev": dev, "prompts": _prompts(paths)}
    sets |= {"stamps_train": read_stamps(paths), "letters_train": read_letters(paths)}
    sets |= {"foreign_train": read_foreign(paths), "toys_dev": read_toys(paths)}
    gather_voices(paths, paths.voices, tuple(VOICES))
    gather_festival(paths, paths.festival, train)
    rows = read_rows(paths.texts / "dev.tsv")
    sets["synthetic_dev"] = _spoken(paths.voices, RUSSIAN_VOICES, rows)
    # Is the reader of festvox_dev hard, or his text? The same text in voices that are heard for hours.
    read_out = [text.replace(" - ", ", ") for name, text in read_festvox_text(paths).items() if is_recorded_dev(name)]
    sets["festvox_spoken"] = _spoken(paths.voices, RUSSIAN_VOICES, [("festvox", text) for text in read_out])
    sentences = [text for _, sentence in rows if len(text := normalize(sentence)) <= LETTERS[1]]
    sets["neural_dev"] = read_neural(paths, sentences[:NEURAL_SENTENCES])
    if private_voices:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "voices"
            gather_voices(paths, target, EVALUATION_VOICES)
            some = rows[:: max(1, len(rows) // HELD_OUT_VOICE_SENTENCES)]
            sets["held_out_voices"] = _spoken(target, EVALUATION_VOICES, some)
    for name, clips in sets.items():
        write_set(clips, paths.sets / name)
        seconds = sum(len(clip.samples) for clip in clips) / 8000
        say(f"set {name}: {len(clips)} clips, {seconds / 60:.1f} minutes")
    pauses = write_cuts(train, paths.festvox / "lab", paths.sets / "festvox_train.cuts")
    say(f"set festvox_train: {pauses} pauses to cut at")
