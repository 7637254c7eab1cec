"""Rewrites Russian text so that RHVoice's Ukrainian and Kyrgyz voices pronounce it nearly as Russian.

Only letters change, never which words are said; which voice needs what is in `speakers`.
"""

from __future__ import annotations

import re

_VOWELS = "аеёиоуыэюя"
# Words whose spelling hides how they sound, by a stem that may carry any ending (sorted long before short).
_STEMS = {
    "конечно": "конешно",
    "сегодня": "севодня",
    "пожалуйста": "пажалуста",
    "здравствуй": "здраствуй",
    "хорош": "хараш",
    "договор": "дагавор",
    "вопрос": "вапрос",
    "звонок": "званок",
    "помоч": "памоч",
    "помог": "памаг",
    "город": "горад",
    "можно": "можна",
    "нужно": "нужна",
    "чтобы": "штобы",
    "когда": "кагда",
    "тогда": "тагда",
}
_STEM = re.compile(r"\b(?:" + "|".join(sorted(_STEMS, key=len, reverse=True)) + ")")
_WORDS = {
    "что": "што",
    "ничто": "ништо",
    "она": "ана",
    "они": "ани",
    "оно": "ано",
    "один": "адин",
    "одна": "адна",
    "одно": "адно",
    "хочу": "хачу",
    "потом": "патом",
    "спасибо": "спасиба",
    "только": "толька",
    "сколько": "сколька",
    "столько": "столька",
    "много": "многа",
    "немного": "немнога",
}
_WORD = re.compile(r"\b(?:" + "|".join(_WORDS) + r")\b")
# Genitive endings are said with в; in these few words -ого is no ending.
_GENITIVE = re.compile(r"(?<=[оеё])г(?=о\b)")
_NO_GENITIVE = re.compile(r"\b(?:\w*(?:мног|строг|дорог|полог|отлог|убог)о|лого|иго|эго|ого)\b")
_STRESSED_GENITIVE = re.compile(r"\b(?:его|моего|твоего|своего|всего|чего|кого|того|ничего|никого)\b")
_SILENT = ((r"стн", "сн"), (r"здн", "зн"), (r"лнц", "нц"), (r"вств(?=[оу])", "ств"), (r"ть?ся\b", "ца"))


def as_spoken(text: str) -> str:
    """Writes common Russian words nearer to their sound, still in Russian letters.

    Args:
        text: Russian text with punctuation.

    Returns:
        Lower-case text: «что» as «што», «большого» as «большова», «учиться» as «учица», and so on.
    """

    def genitive(match: re.Match[str]) -> str:
        word = match.group()
        if not word.endswith(("ого", "его")) or _NO_GENITIVE.fullmatch(word):
            return word
        return _GENITIVE.sub("в", word)[:-1] + ("о" if _STRESSED_GENITIVE.fullmatch(word) else "а")

    text = text.lower().replace("+", "").replace("\u0301", "")
    text = re.sub(r"[а-яё]+", genitive, text)
    text = _WORD.sub(lambda match: _WORDS[match.group()], text)
    text = _STEM.sub(lambda match: _STEMS[match.group()], text)
    for pattern, replacement in _SILENT:
        text = re.sub(pattern, replacement, text)
    return text


def ukrainian(text: str) -> str:
    """Respells Russian in Ukrainian letters: each gets the one that sounds alike.

    Args:
        text: Russian text with punctuation.

    Returns:
        What a Ukrainian voice reads.
    """
    text = as_spoken(text)
    result: list[str] = []
    before = ""
    for letter in text:
        hard = before != "" and before in "жшц"
        if letter == "е":
            result.append("е" if hard else "є")
        elif letter == "ё":
            starts = not before.isalpha() or before in _VOWELS + "ьъ"
            result.append("йо" if starts else "о" if before in "жшчщ" else "ьо")
        elif letter == "и":
            result.append("и" if hard else "і")
        else:
            result.append({"ы": "и", "э": "е", "г": "ґ", "ъ": "'"}.get(letter, letter))
        before = letter
    return "".join(result)


def plain(text: str) -> str:
    """Leaves a text as it is: for Russian voices.

    Args:
        text: Russian text.

    Returns:
        The same.
    """
    return text
