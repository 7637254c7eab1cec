"""Writes IPA in Russian letters, as somebody who knows only Russian would write down what is heard.

Only the map from sounds to letters, for Spanish, Italian and French; pronunciation is asked of `espeak`.
"""

from __future__ import annotations

import re
import unicodedata

# Where several letters were thinkable, the one that version 5 of the model wrote more often (greedy CER over all
# prompts of a language) was taken. "'" marks a soft consonant.
_CONSONANTS = {
    "tʃ": "ч",
    "dʒ": "дж",
    "ts": "ц",
    "dz": "дз",
    "ɲ": "н'",
    "ʎ": "л'",
    "b": "б",
    "β": "в",
    "d": "д",
    "ð": "д",
    "f": "ф",
    "ɡ": "г",
    "ɣ": "г",
    "x": "х",
    "k": "к",
    "l": "л",
    "m": "м",
    "n": "н",
    "ŋ": "н",
    "p": "п",
    "r": "р",
    "ɾ": "р",
    "ʁ": "х",
    "s": "с",
    "ʃ": "ш",
    "t": "т",
    "v": "в",
    "z": "з",
    "ʒ": "ж",
}
_VOWELS = {
    "ɑ̃": "он",
    "ɔ̃": "он",
    "ɛ̃": "ан",
    "œ̃": "ан",
    "a": "а",
    "e": "э",
    "ɛ": "э",
    "ə": "э",
    "i": "и",
    "ɪ": "и",
    "y": "и",
    "o": "о",
    "ɔ": "о",
    "u": "у",
    "ʊ": "у",
    "w": "у",
    "ɥ": "и",
    "ø": "ё",
    "œ": "ё",
}
_GLIDES = {"j": "й", "ʝ": "й"}
_TABLE = {unicodedata.normalize("NFC", sound): letters for sound, letters in (_CONSONANTS | _VOWELS | _GLIDES).items()}
# Longest first; what has no Russian likeness is matched by the dot and left out.
_SOUND = re.compile("|".join(sorted(map(re.escape, _TABLE), key=len, reverse=True)) + "|.")
_SOFTENED = {"а": "я", "э": "е", "о": "ё", "у": "ю", "и": "и", "ё": "ё"}
_HARD = "бвгджзклмнпрстфхцчш"
_ANY = "аэоуиё"


def _sounds(ipa: str) -> str:
    """Leaves only which sounds are said: not their stress or length, nor doubled consonants."""
    text = unicodedata.normalize("NFC", re.sub("[ˈˌː-]", "", ipa))
    text = re.sub(r"([^aeiouɪʊ])\1", r"\1", text.replace("rɾ", "r"))
    return re.sub("(?<=[aeɛoɔu])ɪ", "j", text)  # the second half of a diphthong


def _word(ipa: str) -> str:
    text = _SOUND.sub(lambda match: _TABLE.get(match.group(), ""), _sounds(ipa))
    # A glide between a consonant and a vowel is heard as a short и, elsewhere it is part of я, е, ё, ю.
    text = re.sub(f"(?<=[{_HARD}])й(?=[{_ANY}])", "и", text).replace("'й", "'")
    text = re.sub(f"['й]([{_ANY}])", lambda match: _SOFTENED[match.group(1)], text).replace("'", "ь")
    return re.sub("(?<=.)э", "е", text)  # inside of a word Russian hardly ever writes э


def russian_letters(ipa: str) -> str:
    """Respells IPA.

    Args:
        ipa: words separated by spaces, as `espeak.Espeak.ipa` returns them.

    Returns:
        Text over the model's alphabet; sounds without a Russian likeness are left out.
    """
    return " ".join(filter(None, map(_word, ipa.split())))
