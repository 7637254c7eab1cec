"""Conjugates Russian verbs that are written in a short notation.

Present or simple future, past and imperative; nouns and adjectives are in `declension`.
"""

from __future__ import annotations

_VOWELS = "аоуэияеёюы"


def _default(infinitive: str) -> list[str]:
    """Gives first person, third person and imperative of the productive classes."""
    if infinitive.endswith("овать"):
        stem = infinitive[:-5] + "у"
        return [stem + "ю", stem + "ет", stem + "й"]
    if infinitive.endswith("нуть"):
        return [infinitive[:-3] + "у", infinitive[:-3] + "ет", infinitive[:-3] + "и"]
    if infinitive.endswith("ить"):
        stem = infinitive[:-3]
        return [_mutate(stem), stem + "ит", stem + "и"]
    return [infinitive[:-2] + "ю", infinitive[:-2] + "ет", infinitive[:-2] + "й"]


def _mutate(stem: str) -> str:
    """Changes the consonant before -у of the first person: просить, прошу."""
    for old, new in (("ст", "щ"), ("д", "ж"), ("т", "ч"), ("з", "ж"), ("с", "ш")):
        if stem.endswith(old):
            return stem[: -len(old)] + new + "у"
    if stem[-1] in "бпвмф":
        return stem + "лю"
    return stem + ("у" if stem[-1] in "жшчщ" else "ю")


def _reflexive(word: str) -> str:
    return word + ("сь" if word[-1] in _VOWELS else "ся")


def conjugate(entry: str) -> dict[str, str]:
    """Conjugates a verb.

    Args:
        entry: infinitive, then, where they are not regular, "," first person singular, third person singular,
            imperative and the masculine and feminine past, in this order; "-" keeps the regular form. "!x" at the end:
            nobody is asked to do it (no imp, imps, p1).

    Returns:
        Forms: inf; s1, s2, s3, p1, p2, p3 (person); past_m, past_f, past_n, past_p; imp (informal), imps (formal).
    """
    entry, _, mark = entry.partition("!")
    infinitive, *given = entry.split(",")
    reflexive = infinitive.endswith(("ся", "сь"))
    base = infinitive[:-2] if reflexive else infinitive
    given = [word[:-2] if reflexive and word.endswith(("ся", "сь")) else word for word in given]
    parts = [*_default(base), base[:-2] + "л", base[:-2] + "ла"]
    for index, word in enumerate(given):
        if word != "-":
            parts[index] = word
    first, third, imperative, past, past_f = parts
    root, vowel = third[:-2], third[-2]
    last = root + ("ат" if root[-1] in "жшчщ" else "ят") if vowel == "и" else first + "т"
    forms = {
        "inf": base, "s1": first, "s2": f"{root}{vowel}шь", "s3": third, "p1": f"{root}{vowel}м",
        "p2": f"{root}{vowel}те", "p3": last, "past_m": past, "past_f": past_f, "past_n": past_f[:-1] + "о",
        "past_p": past_f[:-1] + "и", "imp": imperative, "imps": imperative + "те",
    }  # fmt: skip
    if mark == "x":
        forms = {key: word for key, word in forms.items() if key not in ("imp", "imps", "p1")}
    return {key: _reflexive(word) for key, word in forms.items()} if reflexive else forms
