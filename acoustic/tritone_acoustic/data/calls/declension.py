"""Declines Russian nouns and adjectives that are written in a short notation.

Only regular declension with marks for what is not regular; verbs are in `conjugation`.
"""

from __future__ import annotations

from dataclasses import dataclass

CASES = ("nom", "gen", "dat", "acc", "ins", "prep")
_HUSHING = "жшчщ"
_VELAR = "гкх"
_VOWELS = "аоуэияеёюы"


@dataclass(frozen=True)
class Noun:
    """A noun with all its forms.

    Attributes:
        gender: "m", "f", "n", or "p" where there is only the plural.
        animate: the accusative is like the genitive.
        forms: such as "gen" or "gen_pl" -> word; a noun without a plural has no "_pl" forms, and one without a
            singular repeats the plural in the singular's place.
    """

    gender: str
    animate: bool
    forms: dict[str, str]


def _soften(stem: str, hard: str, soft: str) -> str:
    """Chooses between -ы and -и by the last letter of the stem."""
    return stem + (soft if stem[-1] in _HUSHING + _VELAR else hard)


def _stressed(stem: str, marks: str, vowel_o: str, vowel_e: str) -> str:
    """Chooses between -ом and -ем (-ой and -ей) after a hushing consonant or ц."""
    return stem + (vowel_e if stem[-1] in _HUSHING + "ц" and "o" not in marks else vowel_o)


def _masculine(word: str, stem: str, marks: str) -> tuple[dict[str, str], list[str]]:
    """Declines a masculine noun; the second value is stem and ending class of the plural."""
    if word[-1] in "йь":
        root = stem[:-1] if stem[-1] in "йь" else stem
        prep = root + ("и" if word.endswith("ий") else "е")
        last = "ём" if "o" in marks else "ем"
        singular = {"gen": root + "я", "dat": root + "ю", "ins": root + last, "prep": prep}
        genitive = root + ("ев" if word[-1] == "й" else "ей")
        return singular, [root + "и", genitive, root + "я"]
    singular = {"gen": stem + "а", "dat": stem + "у", "ins": _stressed(stem, marks, "ом", "ем"), "prep": stem + "е"}
    genitive = stem + "ей" if stem[-1] in _HUSHING else _stressed(stem, marks, "ов", "ев")
    return singular, [_soften(stem, "ы", "и"), genitive, stem + "а"]


def _feminine(word: str, stem: str, marks: str) -> tuple[dict[str, str], list[str]]:
    """Declines a noun in -а, -я or a feminine one in -ь."""
    if word[-1] == "ь":
        root = stem[:-1] if stem[-1] == "ь" else stem
        last = root + ("а" if root[-1] in _HUSHING else "я")
        forms = {"gen": root + "и", "dat": root + "и", "acc": word, "ins": word + "ю", "prep": root + "и"}
        return forms, [root + "и", root + "ей", last]
    root = word[:-1]
    if word[-1] == "я":
        place = root + ("и" if root[-1] == "и" else "е")
        last = root + ("ёй" if "o" in marks else "ей")
        forms = {"gen": root + "и", "dat": place, "acc": root + "ю", "ins": last, "prep": place}
        return forms, [root + "и", root + ("й" if root[-1] in _VOWELS else "ь"), word]
    forms = {"gen": _soften(root, "ы", "и"), "dat": root + "е", "acc": root + "у", "prep": root + "е"}
    forms["ins"] = _stressed(root, marks, "ой", "ей")
    return forms, [forms["gen"], root, word]


def _neuter(word: str) -> tuple[dict[str, str], list[str]]:
    """Declines a noun in -о, -е or -ие."""
    root = word[:-1]
    soft = word[-1] != "о" and root[-1] not in _HUSHING + "ц"
    a, u = ("я", "ю") if soft else ("а", "у")
    place = root + ("и" if word.endswith("ие") else "е")
    forms = {"gen": root + a, "dat": root + u, "ins": word + "м", "prep": place}
    genitive = root + "й" if root[-1] == "и" else (root if word[-1] == "о" or root[-1] == "щ" else root + "ей")
    return forms, [root + a, genitive, root + a]


def _oblique_plural(base: str) -> dict[str, str]:
    return {"dat_pl": base + "м", "ins_pl": base + "ми", "prep_pl": base + "х"}


def _plural_only(word: str, genitive: str) -> Noun:
    root = word[:-1]
    soft = word[-1] == "и" and root[-1] not in _HUSHING + _VELAR
    base = root + ("я" if soft or word[-1] == "я" else "а")
    forms = {"nom_pl": word, "gen_pl": genitive, "acc_pl": word, **_oblique_plural(base)}
    for case in CASES:
        forms[case] = forms[f"{case}_pl"]
    return Noun("p", False, _with_prepositions(forms))


def _with_prepositions(forms: dict[str, str]) -> dict[str, str]:
    """Adds "with" (с or со and the instrumental) and "about" (о or об and the prepositional)."""
    for tail in ("", "_pl"):
        if f"ins{tail}" in forms:
            forms[f"with{tail}"] = with_preposition(forms[f"ins{tail}"])
            forms[f"about{tail}"] = about_preposition(forms[f"prep{tail}"])
    return forms


def with_preposition(text: str) -> str:
    """Puts с before a text in the instrumental, or со where с cannot be said.

    Args:
        text: lower-case words.

    Returns:
        Such as "со счётом".
    """
    cluster = text[0] in "сзшж" and text[1] not in _VOWELS
    return ("со " if cluster or text[0] == "щ" or text.startswith(("вс", "мн")) else "с ") + text


def about_preposition(text: str) -> str:
    """Puts о before a text in the prepositional, or об before a vowel.

    Args:
        text: lower-case words.

    Returns:
        Such as "об оплате".
    """
    return ("об " if text[0].lower() in "аоуэи" else "о ") + text


def parse_noun(entry: str) -> Noun:
    """Declines a noun.

    Args:
        entry: nominative, then optional parts: "/" the stem of the other cases (день/дн), ":" the genitive plural
            (заявка:заявок), "!" marks: a animate, f feminine in -ь, m masculine in -а, o stressed endings, s no
            plural, p only the plural (its genitive is then required), A nominative plural in -а or -я, x indeclinable
            neuter, e plural with е for ё, i plural of a neuter in -и.

    Returns:
        The noun; "with" and "about" hold the instrumental and the prepositional with their prepositions.
    """
    entry, _, marks = entry.partition("!")
    entry, _, genitive_plural = entry.partition(":")
    word, _, stem = entry.partition("/")
    if "p" in marks:
        return _plural_only(word, genitive_plural)
    if "x" in marks:
        return Noun("n", False, _with_prepositions({case + tail: word for case in CASES for tail in ("", "_pl")}))
    animate = "a" in marks
    if word[-1] in "ая" or "f" in marks:
        gender = "m" if "m" in marks else "f"
        forms, (plural, genitive, base) = _feminine(word, stem or word, marks)
    elif word[-1] in "оеё":
        gender = "n"
        forms, (plural, genitive, base) = _neuter(word)
        forms["acc"] = word
    else:
        gender = "m"
        forms, (plural, genitive, base) = _masculine(word, stem or word, marks)
        forms["acc"] = forms["gen"] if animate else word
        if "A" in marks:
            plural = base
            if not genitive_plural and genitive.endswith("ев") and word[-1] == "ь":
                genitive = base[:-1] + "ей"
    forms["nom"] = word
    if "e" in marks:
        plural, genitive, base = (text.replace("ё", "е") for text in (plural, genitive, base))
    if "i" in marks:
        plural = plural[:-1] + "и"
    if "s" not in marks:
        genitive = genitive_plural or genitive
        forms |= {"nom_pl": plural, "gen_pl": genitive, "acc_pl": genitive if animate else plural}
        forms |= _oblique_plural(base)
    return Noun(gender, animate, _with_prepositions(forms))


# Endings of adjectives by gender and case: hard, soft. The accusative is chosen by what is described.
_ADJECTIVE = {
    "m": {"nom": "ый ий", "gen": "ого его", "dat": "ому ему", "ins": "ым им", "prep": "ом ем"},
    "n": {"nom": "ое ее", "gen": "ого его", "dat": "ому ему", "ins": "ым им", "prep": "ом ем"},
    "f": {"nom": "ая яя", "gen": "ой ей", "dat": "ой ей", "ins": "ой ей", "prep": "ой ей", "acc": "ую юю"},
    "p": {"nom": "ые ие", "gen": "ых их", "dat": "ым им", "ins": "ыми ими", "prep": "ых их"},
}


def adjective_forms(word: str) -> dict[str, str]:
    """Declines an adjective or an ordinal.

    Args:
        word: masculine nominative in -ый, -ий or -ой.

    Returns:
        Gender ("m", "f", "n", "p") and case, such as "f_gen" -> word; "m_acc_a" and "p_acc_a" are the animate ones.
    """
    root, last = word[:-2], word[-2:]
    possessive = word == "третий"
    if possessive:
        root = "треть"
    soft = last == "ий" and (root[-1] == "н" or possessive)
    forms: dict[str, str] = {}
    for gender, endings in _ADJECTIVE.items():
        for case, pair in endings.items():
            hard_ending, soft_ending = pair.split()
            ending = soft_ending if soft else hard_ending
            if not soft and root[-1] in _VELAR + _HUSHING:
                if ending[0] == "ы":
                    ending = "и" + ending[1:]
                elif root[-1] in _HUSHING and last != "ой" and ending[0] == "о":
                    ending = "е" + ending[1:]
            forms[f"{gender}_{case}"] = root + ending
    forms["m_nom"] = word
    if possessive:
        forms |= {"f_nom": "третья", "n_nom": "третье", "p_nom": "третьи", "f_acc": "третью"}
    forms |= {"m_acc": forms["m_nom"], "n_acc": forms["n_nom"], "p_acc": forms["p_nom"]}
    forms |= {"m_acc_a": forms["m_gen"], "p_acc_a": forms["p_gen"]}
    return forms


def agree(adjective: dict[str, str], noun: Noun, form: str) -> str:
    """Joins an adjective with a noun.

    Args:
        adjective: forms of the adjective.
        noun: what it describes.
        form: key of Noun.forms.

    Returns:
        Such as "новую карту" or "с новыми картами".
    """
    base, _, plural = form.partition("_")
    case = {"with": "ins", "about": "prep"}.get(base, base)
    gender = "p" if plural or noun.gender == "p" else noun.gender
    key = f"{gender}_{case}"
    if case == "acc" and noun.animate and f"{key}_a" in adjective:
        key += "_a"
    text = f"{adjective[key]} {noun.forms[case + ('_pl' if plural else '')]}"
    if base == "with":
        return with_preposition(text)
    return about_preposition(text) if base == "about" else text
