"""All forms of the words of a spelling dictionary, and sentences with some of their words exchanged.

A recogniser that hears the same sentences for hours learns them by heart: what it heard less well it fills in from
memory. Exchanged words take away what could be remembered and leave the grammar about right.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

from tritone_acoustic.data.normalize import fold_yo
from tritone_acoustic.data.paths import DataPaths

_ENDING = 3
"""Words are exchanged for others with the same last letters: in Russian these carry case, number and person."""
_SHORTEST = 5
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


def read_word_forms(paths: DataPaths, count: int, seed: int) -> list[str]:
    """Draws word forms from the dictionary package.

    Args:
        paths: the data folder, after `fetch`.
        count: how many, over all words.
        seed: of the draw.

    Returns:
        Distinct forms of lower-case Russian letters, sorted.
    """
    folder = paths.packages / "usr/share/hunspell"
    rules = read_rules((folder / "ru_RU.aff").read_text(encoding="utf-8"))
    entries = (folder / "ru_RU.dic").read_text(encoding="utf-8").splitlines()[1:]
    forms = {form for entry in entries if entry[:1].islower() for form in forms_of(entry, rules)}
    usable = sorted(form for form in forms if _WORD.fullmatch(form) and 2 < len(form) <= 20)
    return sorted(random.Random(seed).sample(usable, min(count, len(usable))))  # noqa: S311  (no secrets)


class Exchange:
    """Exchanges words of sentences for others that end alike.

    Args:
        words: to choose from.
        rng: source of randomness.
        share: of the longer words, those that are exchanged.
    """

    def __init__(self, words: list[str], rng: random.Random, share: float = 0.35) -> None:
        self._rng, self._share = rng, share
        self._alike: dict[str, list[str]] = {}
        for word in words:
            self._alike.setdefault(fold_yo(word[-_ENDING:]), []).append(word)

    def _other(self, match: re.Match[str]) -> str:
        word = match.group()
        choice = self._alike.get(fold_yo(word[-_ENDING:].lower()))
        if len(word) < _SHORTEST or not choice or self._rng.random() >= self._share:
            return word
        other = self._rng.choice(choice)
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
