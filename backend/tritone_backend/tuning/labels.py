"""Where words begin and end in festvox-ru, from its phone labels. They name no words: letters are laid over phones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_VOWELS = frozenset("аеёиоуыэюя")
_VOWEL_PHONES = frozenset({"a", "aa", "ae", "ay", "e", "ee", "i", "ii", "oo", "u", "uu", "ur", "y", "yy"})
# Phones that a letter is heard as, without softness: the first is the usual one, the others come by assimilation.
_HEARD = {
    letter: phones.split()
    for letter, phones in zip(
        "бвгджзйклмнпрстфхцчшщ",
        (
            *("b p", "v f", "g k v h", "d t", "zh sh", "z s zh sh", "j", "k g h", "l", "m", "n", "p b", "r"),
            *("s z sh zh sch", "t d c ch", "f v", "h g", "c", "ch sh", "sh zh", "sch sh"),
        ),
        strict=True,
    )
}
_PAUSES = frozenset({"pau", ""})
_MOST_COST = 0.35
"""Mean cost a letter above which a transcript does not belong to its labels."""


def word_times(lab: Path, text: str) -> list[tuple[float, float]] | None:
    """Beginning and end of each word in seconds, or None where letters and phones do not fit.

    Args:
        lab: lines of end time, colour and phone.
        text: the transcript, lower case without signs.
    """
    phones: list[tuple[str, float, float]] = []
    begin = 0.0
    for line in lab.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if len(fields) < 2 or line.startswith("#"):
            continue
        name = fields[2] if len(fields) > 2 else ""
        if name not in _PAUSES:
            phones.append((name, begin, float(fields[0])))
        begin = float(fields[0])
    words = text.split()
    letters = "".join(words)
    owner = [number for number, word in enumerate(words) for _ in word]
    matched = _lay(letters, [name for name, _, _ in phones])
    if matched is None:
        return None
    times: list[list[float]] = [[] for _ in words]
    for letter, phone in matched:
        times[owner[letter]] += phones[phone][1:]
    return [(min(found), max(found)) for found in times] if all(times) else None


def _lay(letters: str, phones: list[str]) -> list[tuple[int, int]] | None:
    """Pairs of letter and phone by the cheapest alignment; a phone that no letter is for goes to the next one."""
    cost = np.full((len(letters) + 1, len(phones) + 1), np.inf)
    cost[0, 0] = 0.0
    way = np.zeros(cost.shape, np.int8)
    for i in range(len(letters) + 1):
        for j in range(len(phones) + 1):
            options = []
            if i and j:
                options.append((cost[i - 1, j - 1] + _distance(letters[i - 1], phones[j - 1]), 1))
            if i:
                options.append((cost[i - 1, j] + (0.0 if letters[i - 1] in "ьъ" else 1.0), 2))
            if j:
                options.append((cost[i, j - 1] + (0.1 if phones[j - 1] == "j" else 1.0), 3))
            if options:
                cost[i, j], way[i, j] = min(options)
    if cost[-1, -1] > _MOST_COST * len(letters):
        return None
    pairs = []
    i, j = len(letters), len(phones)
    while i or j:
        step = int(way[i, j])
        if step == 1:
            pairs.append((i - 1, j - 1))
        elif step == 3 and i < len(letters) and phones[j - 1] == "j":
            pairs.append((i, j - 1))  # the glide before a vowel letter
        i, j = i - (step != 3), j - (step != 2)
    return pairs[::-1]


def _distance(letter: str, phone: str) -> float:
    if letter in "ьъ":
        return 3.0
    if (letter in _VOWELS) != (phone in _VOWEL_PHONES):
        return 3.0
    if letter in _VOWELS:
        return 0.0
    hard = phone if phone in ("sch", "sh", "ch", "zh") else phone[0]
    heard = _HEARD[letter]
    return 0.0 if hard == heard[0] else 0.2 if hard in heard else 1.0
