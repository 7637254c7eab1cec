"""Brings text to the model's alphabet: 33 Russian letters and the space.

Only normalisation and the held-out split by hash; where sentences come from is in `corpora`.
"""

from __future__ import annotations

import re
import unicodedata
import zlib

from tritone_acoustic.data.numerals import LIMIT, cardinal

ALPHABET = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя "
BLANK = 34

_SIGNS = {"№": " номер ", "%": " процентов ", "&": " и ", "+": " плюс ", "=": " равно "}
_LETTERS = frozenset(ALPHABET)
_INDEX = {character: index for index, character in enumerate(ALPHABET)}


def spell_digits(text: str) -> str:
    """Replaces every run of digits by a cardinal; a run with leading zeros or of 10 or more, by single digits.

    Args:
        text: any text.

    Returns:
        The text without ASCII digits.
    """

    def words(match: re.Match[str]) -> str:
        digits = match.group()
        if (digits[0] == "0" and len(digits) > 1) or len(digits) >= 10 or int(digits) >= LIMIT:
            return " " + " ".join(cardinal(int(digit)) for digit in digits) + " "
        return f" {cardinal(int(digits))} "

    return re.sub(r"[0-9]+", words, text)


def normalize(text: str) -> str:
    """Normalises a transcript: numbers spelt out, lower case, letters and single spaces; ё stays.

    Args:
        text: Russian text with punctuation, digits and stress marks ('+' before a vowel, as in festvox).

    Returns:
        Text over ALPHABET; everything foreign to it is dropped.
    """
    text = unicodedata.normalize("NFC", text)
    text = re.sub(r"\+(?=[аеёиоуыэюяАЕЁИОУЫЭЮЯ])", "", text)
    for sign, word in _SIGNS.items():
        text = text.replace(sign, word)
    text = spell_digits(text).lower()
    kept = "".join(
        character if character in _LETTERS else ("" if character in "\u0301\u00ad'’" else " ") for character in text
    )
    return " ".join(kept.split())


def encode(label: str) -> list[int]:
    """Maps a normalised text to class numbers.

    Args:
        label: text over ALPHABET.

    Returns:
        Class numbers 0..33.

    Raises:
        KeyError: a character is outside ALPHABET.
    """
    return [_INDEX[character] for character in label]


def decode(classes: list[int]) -> str:
    """Collapses repeats, drops blanks and maps class numbers to text (greedy CTC reading).

    Args:
        classes: best class of every frame, 0..34.

    Returns:
        The text, stripped, with single spaces.
    """
    text: list[str] = []
    previous = BLANK
    for value in classes:
        if value not in (previous, BLANK):
            text.append(ALPHABET[value])
        previous = value
    return " ".join("".join(text).split())


def fold_yo(text: str) -> str:
    """Replaces ё by е.

    Args:
        text: normalised text.

    Returns:
        The text without ё.
    """
    return text.replace("ё", "е")


def is_held_out(label: str, share: int = 40) -> bool:
    """Says whether a sentence belongs to the held-out one in `share`, by a hash that ignores ё.

    Only sentences of four words and more are held out: a shorter one is vocabulary, not a sentence.

    Args:
        label: normalised text.
        share: one in so many is held out.

    Returns:
        True if it must never be synthesised for training.
    """
    return label.count(" ") >= 3 and zlib.crc32(fold_yo(label).encode()) % share == 0
