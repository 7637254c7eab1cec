"""Recordings with transcripts: the sets of this project and folders of the user's. Nothing is recognised here."""

from __future__ import annotations

import csv
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritone_bench.accuracy.spelling import normalise
from tritone_bench.errors import UsageError

AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3")
MANIFESTS = ("manifest.jsonl", "manifest.tsv")
_AUDIO_KEYS = ("audio", "audio_filepath", "path", "file")
_TEXT_KEYS = ("text", "transcript", "sentence")
_MAKE = "`python -m tritone_acoustic.data` with fetch, then texts, then bundle"


@dataclass(frozen=True)
class Clip:
    """A recording, or a part of one.

    Attributes:
        key: what it is known by in all sets.
        text: normalised transcript.
        path: audio file.
        first, frames: the part of the file; -1 for all of it.
        rate: samples per second.
        shown: the file as reports name it, without the machine's folders.
    """

    key: str
    text: str
    path: Path
    first: int
    frames: int
    rate: int
    shown: str

    @property
    def seconds(self) -> float:
        """Length."""
        return self.frames / self.rate

    @property
    def offset_s(self) -> float:
        """Where it begins in its file."""
        return self.first / self.rate

    def samples(self) -> NDArray[np.int16]:
        """The audio, int16 [n] at `rate`, first channel.

        Raises:
            UsageError: the file cannot be read any more.
        """
        import soundfile

        try:
            audio, _ = soundfile.read(self.path, self.frames, self.first, dtype="int16", always_2d=True)
        except (OSError, RuntimeError) as error:
            raise UsageError(f"{self.path} cannot be read as audio ({error})") from None
        result: NDArray[np.int16] = np.ascontiguousarray(audio[:, 0])
        return result


@dataclass(frozen=True)
class ClipSet:
    """Recordings that are scored together.

    Attributes:
        name: short.
        title: what it is, for a person.
        clips: in file order.
    """

    name: str
    title: str
    clips: list[Clip]

    @property
    def fingerprint(self) -> str:
        """Eight letters that change with any name, transcript or length: sets are made anew at times."""
        told = "\n".join(f"{clip.key} {clip.text} {clip.frames} {clip.rate}" for clip in self.clips)
        return hashlib.sha256(told.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class _Known:
    stem: str
    title: str
    least_words: int = 0


KNOWN = {
    "synthetic": _Known("synthetic_dev", "synthetic sentences never trained on, voices trained on"),
    "voices": _Known("held_out_voices", "synthetic voices never trained on"),
    "festvox": _Known("festvox_dev", "festvox-ru, real sentences never trained on of a reader trained on"),
    "festvox-spoken": _Known("festvox_spoken", "the sentences of festvox, spoken by synthetic voices trained on"),
    "toys": _Known("toys_dev", "KTuberling's words, two real speakers never trained on, one word each"),
    "prompts": _Known("prompts", "Asterisk prompts, a real telephone voice never trained on"),
    "prompts5": _Known("prompts", "of them those of five words and more", least_words=5),
}
"""Sets of this project by name."""


def default_folder() -> Path:
    """Where the checkout keeps its sets."""
    return Path(__file__).resolve().parents[3] / "data" / "sets"


def known_set(name: str, folder: Path) -> ClipSet:
    """Read one of the project's sets.

    Raises:
        UsageError: no such name, or its files are missing or do not fit each other.
    """
    if name not in KNOWN:
        raise UsageError(f"no set {name!r}; there are {', '.join(KNOWN)}; your own recordings go with --folder")
    known = KNOWN[name]
    clips = list(_container(folder / known.stem, known.stem))
    return ClipSet(name, known.title, [clip for clip in clips if len(clip.text.split()) >= known.least_words])


def user_set(source: Path) -> ClipSet:
    """Read the user's recordings.

    Args:
        source: a folder of audio files with a .txt beside each or a manifest.tsv or manifest.jsonl; or such a
            manifest; or an index NAME.tsv beside NAME.flac, as this project's sets are.

    Raises:
        UsageError: nothing is there, or a recording has no transcript.
    """
    if source.is_dir():
        manifest = next((source / name for name in MANIFESTS if (source / name).is_file()), None)
        clips = list(_listed(manifest) if manifest else _beside(source))
    elif source.suffix == ".tsv" and _audio_of(source.with_suffix("")) is not None:
        clips = list(_container(source.with_suffix(""), source.stem))
    elif source.suffix in (".tsv", ".jsonl") and source.is_file():
        clips = list(_listed(source))
    else:
        raise UsageError(f"{source} is neither a folder nor a manifest (.tsv or .jsonl)")
    if not clips:
        raise UsageError(
            f"no recordings with transcripts in {source}: put NAME.txt beside each NAME.wav, .flac or .ogg"
        )
    name = source.stem if source.is_file() else source.resolve().name
    return ClipSet(name, "recordings of your own", clips)


def sample(chosen: ClipSet, limit: int, seed: int) -> ClipSet:
    """At most `limit` of the clips, drawn by `seed`, in file order; 0 for all."""
    if not limit or len(chosen.clips) <= limit:
        return chosen
    picked = sorted(random.Random(seed).sample(range(len(chosen.clips)), limit))  # noqa: S311
    return ClipSet(chosen.name, chosen.title, [chosen.clips[index] for index in picked])


def unique(sets: Sequence[ClipSet]) -> list[Clip]:
    """All clips of some sets, each once."""
    return list({clip.key: clip for chosen in sets for clip in chosen.clips}.values())


def _audio_of(stem: Path) -> Path | None:
    return next((path for suffix in AUDIO if (path := Path(f"{stem}{suffix}")).is_file()), None)


def _container(stem: Path, shown: str) -> Iterator[Clip]:
    """Clips of a set: one audio file, and an index of name, voice, length in samples, transcript."""
    audio, index = _audio_of(stem), Path(f"{stem}.tsv")
    if audio is None or not index.is_file():
        raise UsageError(f"no set {stem.name} in {stem.parent}: make it with {_MAKE}; or choose others with --sets")
    frames, rate = _length(audio)
    with index.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, delimiter="\t"))
    try:
        lengths = [int(row[2]) for row in rows]
        texts = [row[3] for row in rows]
    except (IndexError, ValueError):
        raise UsageError(f"{index} is no index of a set (name, voice, samples, text): make it with {_MAKE}") from None
    if sum(lengths) > frames + rate:
        raise UsageError(f"{index} tells of more audio than {audio.name} has: make the set again with {_MAKE}")
    first = 0
    for row, length, text in zip(rows, lengths, texts, strict=True):
        length = min(length, frames - first)
        yield Clip(f"{shown}/{row[0]}", normalise(text), audio, first, length, rate, audio.name)
        first += length


def _beside(folder: Path) -> Iterator[Clip]:
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO):
        transcript = path.with_suffix(".txt")
        if not transcript.is_file():
            raise UsageError(f"{path} has no transcript: write what is said to {transcript.name} beside it")
        yield _whole(path, _read_text(transcript), folder)


def _listed(manifest: Path) -> Iterator[Clip]:
    lines = [line for line in _read_text(manifest).splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        try:
            name, text = _row_of_json(line) if manifest.suffix == ".jsonl" else line.split("\t")[:2]
        except (ValueError, KeyError, StopIteration, TypeError):
            form = '{"audio": FILE, "text": WORDS}' if manifest.suffix == ".jsonl" else "FILE, a tab, WORDS"
            raise UsageError(f"{manifest} line {number} is not {form}") from None
        path = manifest.parent / name
        if not path.is_file():
            raise UsageError(f"{manifest} line {number}: no file {name}")
        yield _whole(path, text, manifest.parent)


def _row_of_json(line: str) -> tuple[str, str]:
    row = json.loads(line)
    return str(next(row[key] for key in _AUDIO_KEYS if key in row)), str(next(row[k] for k in _TEXT_KEYS if k in row))


def _whole(path: Path, text: str, folder: Path) -> Clip:
    frames, rate = _length(path)
    shown = str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name
    return Clip(f"{folder.resolve().name}/{shown}", normalise(text), path, 0, frames, rate, shown)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text: convert it, for example with iconv") from None


def _length(path: Path) -> tuple[int, int]:
    import soundfile

    try:
        about = soundfile.info(path)
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{path} cannot be read as audio ({error})") from None
    if not 8_000 <= about.samplerate <= 48_000:
        raise UsageError(f"{path} has {about.samplerate} Hz; the service takes 8000 to 48000: convert it")
    return int(about.frames), int(about.samplerate)
