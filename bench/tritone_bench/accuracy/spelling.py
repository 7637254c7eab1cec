"""What a transcript says, as bare words: lower case, no punctuation, numbers spoken. No audio, no scores."""

from __future__ import annotations

import re
import unicodedata

_UNITS = ["ноль", "один", "два", "три", "четыре", "пять", "шесть", "семь", "восемь", "девять"]
_TEENS = [
    "десять",
    "одиннадцать",
    "двенадцать",
    "тринадцать",
    "четырнадцать",
    "пятнадцать",
    "шестнадцать",
    "семнадцать",
    "восемнадцать",
    "девятнадцать",
]
_TENS = ["двадцать", "тридцать", "сорок", "пятьдесят", "шестьдесят", "семьдесят", "восемьдесят", "девяносто"]
_HUNDREDS = ["сто", "двести", "триста", "четыреста", "пятьсот", "шестьсот", "семьсот", "восемьсот", "девятьсот"]
_SCALES = (
    (10**9, False, ("миллиард", "миллиарда", "миллиардов")),
    (10**6, False, ("миллион", "миллиона", "миллионов")),
    (10**3, True, ("тысяча", "тысячи", "тысяч")),
)
_LONGEST = 9  # digits; a longer run is a telephone or card number, which is read digit by digit
_SIGNS = {"№": " номер ", "%": " процентов ", "&": " и "}
_JOINERS = "\u0301\u00ad'’"  # stress mark, soft hyphen, apostrophes: they part no words


def _below_thousand(number: int, *, feminine: bool) -> list[str]:
    words = [_HUNDREDS[number // 100 - 1]] if number >= 100 else []
    number %= 100
    if 10 <= number < 20:
        return [*words, _TEENS[number - 10]]
    if number >= 20:
        words.append(_TENS[number // 10 - 2])
    unit = number % 10
    if unit:
        words.append({1: "одна", 2: "две"}.get(unit, _UNITS[unit]) if feminine else _UNITS[unit])
    return words


def cardinal(number: int) -> str:
    """A number in words, masculine nominative.

    Args:
        number: 0 to 999 999 999 999.

    Raises:
        ValueError: another number.
    """
    if not 0 <= number < 10**12:
        raise ValueError(f"{number} is too large to be spelt")
    if number == 0:
        return _UNITS[0]
    words: list[str] = []
    for scale, feminine, (one, few, many) in _SCALES:
        count, number = divmod(number, scale)
        if count:
            last = 0 if count % 100 in range(11, 15) else count % 10
            form = one if last == 1 else few if last in (2, 3, 4) else many
            words += [*_below_thousand(count, feminine=feminine), form]
    return " ".join(words + _below_thousand(number, feminine=False))


def _spoken(digits: re.Match[str]) -> str:
    run = digits.group()
    if len(run) > _LONGEST or (run[0] == "0" and len(run) > 1):
        return " " + " ".join(_UNITS[int(digit)] for digit in run) + " "
    return f" {cardinal(int(run))} "


def normalise(text: str) -> str:
    """The words of a transcript, separated by single spaces.

    Letters of any alphabet are kept, so that a Latin word that nobody said counts as the error it is. Digits become
    cardinals: ``25`` is двадцать пять, whatever case the sentence asks for; that is usual, and equal for every system.
    """
    text = unicodedata.normalize("NFC", text)
    for sign, word in _SIGNS.items():
        text = text.replace(sign, word)
    text = re.sub(r"(?<=\d)[\u00a0\u202f](?=\d{3}\b)", "", text)  # a thousand with its unbreakable space is one number
    text = re.sub(r"\+(?=[аеёиоуыэюяАЕЁИОУЫЭЮЯ])", "", text)  # a stress mark of speech corpora
    text = re.sub(r"\+(?=\d)", " плюс ", text)
    text = re.sub(r"[0-9]+", _spoken, text).lower()
    kept = "".join(c if c.isalpha() else "" if c in _JOINERS else " " for c in text)
    return " ".join(kept.split())


def fold_yo(text: str) -> str:
    """The text with ё written as е, as most print has it."""
    return text.replace("ё", "е").replace("Ё", "Е")
