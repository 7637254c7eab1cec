"""Common word forms of a spelling dictionary, and sentences with some of their words exchanged.

A recogniser that hears the same sentences for hours learns them by heart: what it heard less well it fills in from
memory. Exchanged words take away what could be remembered and leave the grammar about right.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from tritone_acoustic.data.frequencies import read_frequencies
from tritone_acoustic.data.normalize import fold_yo
from tritone_acoustic.data.paths import DataPaths

_ENDING = 3
"""Words are exchanged for others with the same last letters: in Russian these carry case, number and person."""
_SHORTEST = 5
_FIRST = 2_500
"""Size of the first group of common words."""
_RULE = re.compile(r"^SFX\s+(\S)\s+(\S+)\s+(\S+)\s+(\S+)\s*$", re.MULTILINE)
_WORD = re.compile(r"[а-яё]+")


def read_rules(text: str) -> dict[str, list[tuple[str, str, re.Pattern[str]]]]:
    """Reads the suffix rules of a Hunspell affix file.

    Args:
        text: its content.

    Returns:
        Flag -> (ending to take off, ending to put on, pattern of the words it applies to).
    """
    rules: dict[str, list[tuple[str, str, re.Pattern[str]]]] = {}
    for flag, strip, add, condition in _RULE.findall(text):
        ending = re.compile("" if condition == "." else f"{condition}$")
        rules.setdefault(flag, []).append(("" if strip == "0" else strip, "" if add == "0" else add, ending))
    return rules


def forms_of(entry: str, rules: dict[str, list[tuple[str, str, re.Pattern[str]]]]) -> Iterator[str]:
    """Expands one line of a Hunspell dictionary.

    Args:
        entry: word, or word/FLAGS.
        rules: of `read_rules`.

    Yields:
        The word and its forms.
    """
    word, _, flags = entry.strip().partition("/")
    yield word
    for flag in flags:
        for strip, add, ending in rules.get(flag, ()):
            if word.endswith(strip) and ending.search(word):
                yield word[: len(word) - len(strip)] + add


def read_word_forms(paths: DataPaths, count: int) -> list[str]:
    """Chooses the word forms of the dictionary package that are most common in use.

    Behind all forms that somebody was seen to use come the other forms of the same words, those of common words first.

    Args:
        paths: the data folder, after `fetch`.
        count: how many.

    Returns:
        Distinct forms of lower-case Russian letters, the common ones first: in groups, each as large as all before
        it and sorted, which the compressor likes and `Favourites` does not mind.
    """
    folder = paths.packages / "usr/share/hunspell"
    rules = read_rules((folder / "ru_RU.aff").read_text(encoding="utf-8"))
    entries = (folder / "ru_RU.dic").read_text(encoding="utf-8").splitlines()[1:]
    used = read_frequencies(paths.frequencies)
    place = {fold_yo(word): number for number, word in reversed(list(enumerate(used)))}
    spelt: dict[str, set[str]] = {}
    family: dict[str, int] = {}  # a form, and the place of the most common form of its word
    for entry in entries:
        forms = {form for form in map(str.lower, forms_of(entry, rules)) if _WORD.fullmatch(form) and len(form) <= 20}
        first = min((place.get(fold_yo(form), len(used)) for form in forms), default=len(used))
        for form in forms:
            spelt.setdefault(fold_yo(form), set()).add(form)
            family[form] = min(first, family.get(form, first))
    chosen: dict[str, None] = {}
    for word in used:
        # Most who write leave the dots of ё out; voices and transcripts need them.
        forms = spelt.get(fold_yo(word), set())
        chosen |= dict.fromkeys({word} if word in forms else sorted(forms))
    others = (form for form, first in family.items() if form not in chosen and first < len(used))
    chosen |= dict.fromkeys(sorted(others, key=lambda form: (family[form], form)))
    ranked = list(chosen)[:count]
    bounds = [0, *(_FIRST << step for step in range(len(ranked).bit_length()) if _FIRST << step < count), count]
    return [word for low, high in pairwise(bounds) for word in sorted(ranked[low:high])]


class Favourites:
    """Draws from a list whose first items are the most common: half of the draws come from its first quarter.

    Word number r of a language is about 1 / r as common as the first; drawn so, it is 1 / sqrt(r) as common: rare
    words are heard more often than in life, but not as often as common ones.

    Args:
        rng: source of randomness.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def __call__(self, words: Sequence[str]) -> str:
        """Draws one.

        Args:
            words: the most common first.

        Returns:
            One of them.
        """
        return words[int(len(words) * self._rng.random() ** 2)]


class Exchange:
    """Exchanges words of sentences for others that end alike.

    Args:
        words: to choose from, the most common first.
        rng: source of randomness.
        share: of the longer words, those that are exchanged.
    """

    def __init__(self, words: list[str], rng: random.Random, share: float = 0.45) -> None:
        self._rng, self._share = rng, share
        self._draw = Favourites(rng)
        self._alike: dict[str, list[str]] = {}
        for word in words:
            self._alike.setdefault(fold_yo(word[-_ENDING:]), []).append(word)

    def _other(self, match: re.Match[str]) -> str:
        word = match.group()
        choice = self._alike.get(fold_yo(word[-_ENDING:].lower()))
        if len(word) < _SHORTEST or not choice or self._rng.random() >= self._share:
            return word
        other = self._draw(choice)
        return other.capitalize() if word[0].isupper() else other

    def __call__(self, sentence: str) -> str:
        """Exchanges some words.

        Args:
            sentence: text with punctuation, without stress marks.

        Returns:
            The same sentence about something else.
        """
        return re.sub(r"[А-Яа-яЁё]+", self._other, sentence)


def read_forms(path: Path) -> list[str]:
    """Reads a list of word forms, a line each; an empty list if there is none.

    Args:
        path: the file.

    Returns:
        The forms.
    """
    return path.read_text(encoding="utf-8").split() if path.exists() else []
