"""Where a reader pauses between words, from the phone labels of festvox-ru: places to cut a recording in phrases.

Labels name phones, not words; a pause is put between two words by counting vowels, of which each has one phone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tritone_acoustic.data.audio import SAMPLE_RATE, Clip

_VOWELS = re.compile(r"[аеёиоуыэюя]")
# The names of the voice's vowels; all of its other phones are consonants and "pau".
_VOWEL_PHONES = frozenset({"a", "aa", "ae", "ay", "e", "ee", "i", "ii", "oo", "u", "uu", "ur", "y", "yy"})
_LEANING_BACK = frozenset({"ж", "б"})
_PAUSE = "pau"
_SHORTEST = 0.06
_MOST_WORDS = 14


@dataclass(frozen=True)
class Cut:
    """A pause in a recording.

    Attributes:
        words: how many words are before it.
        sample: its middle.
    """

    words: int
    sample: int


def read_cuts(lab: Path, text: str) -> list[Cut]:
    """Finds the pauses that lie between two known words.

    Args:
        lab: lines of end time in seconds, colour and phone.
        text: the normalised transcript.

    Returns:
        Cuts in order; none where the vowels of text and labels do not add up.
    """
    until: dict[int, int] = {}
    vowels = 0
    for number, word in enumerate(text.split(), 1):
        count = len(_VOWELS.findall(word))
        vowels += count
        # A word without a vowel leans on the next one, two of them on the one before.
        if count or word in _LEANING_BACK:
            until[vowels] = number
    cuts: list[Cut] = []
    seen, begin = 0, 0.0
    for line in lab.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if len(fields) < 3 or line.startswith("#"):
            continue
        end = float(fields[0])
        if fields[2] == _PAUSE and end - begin >= _SHORTEST and seen in until and 0 < seen < vowels:
            cuts.append(Cut(until[seen], int((begin + end) / 2 * SAMPLE_RATE)))
        seen += fields[2] in _VOWEL_PHONES
        begin = end
    return cuts if seen == vowels else []


def write_cuts(clips: list[Clip], labels: Path, path: Path) -> int:
    """Writes the pauses of a set: a line each, name and WORDS:SAMPLE pairs.

    Args:
        clips: recordings with labels/NAME.lab.
        labels: folder of the labels.
        path: file to write.

    Returns:
        How many pauses were found.
    """
    found = {clip.name: read_cuts(labels / f"{clip.name}.lab", clip.text) for clip in clips}
    lines = [f"{name}\t{' '.join(f'{cut.words}:{cut.sample}' for cut in cuts)}\n" for name, cuts in found.items()]
    path.write_text("".join(lines), encoding="utf-8")
    return sum(map(len, found.values()))


def phrases(clips: list[Clip], path: Path) -> list[Clip]:
    """Cuts recordings into every run of phrases between two pauses, whole recordings left out.

    Args:
        clips: the recordings.
        path: what `write_cuts` wrote; without it there are no phrases.

    Returns:
        Clips that share their samples with the recordings, of at most 14 words.
    """
    if not path.exists():
        return []
    rows = dict(line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    result: list[Clip] = []
    for clip in clips:
        words = clip.text.split()
        cuts = [Cut(*map(int, pair.split(":"))) for pair in rows.get(clip.name, "").split()]
        edges = [Cut(0, 0), *cuts, Cut(len(words), len(clip.samples))]
        for first, start in enumerate(edges[:-1]):
            for end in edges[first + 1 :]:
                if 0 < end.words - start.words <= min(_MOST_WORDS, len(words) - 1):
                    part = clip.samples[start.sample : end.sample]
                    text = " ".join(words[start.words : end.words])
                    result.append(Clip(f"{clip.name}-{start.words}-{end.words}", clip.voice, text, part))
    return result
