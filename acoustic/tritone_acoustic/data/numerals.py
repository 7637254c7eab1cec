"""Spells Russian numbers in words: cardinals in all cases, ordinals in four forms.

Only numbers; which form a sentence needs is decided by the caller.
"""

from __future__ import annotations


def _words(text: str) -> list[str]:
    """Splits a list written as one text at spaces."""
    return text.split()


_UNITS = _words("ноль один два три четыре пять шесть семь восемь девять")
_TEENS = _words(
    "десять одиннадцать двенадцать тринадцать четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать"
)
_TENS = _words("двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто")
_HUNDREDS = _words("сто двести триста четыреста пятьсот шестьсот семьсот восемьсот девятьсот")

_UNITS_GENITIVE = _words("нуля одного двух трёх четырёх пяти шести семи восьми девяти")
_TENS_GENITIVE = _words("двадцати тридцати сорока пятидесяти шестидесяти семидесяти восьмидесяти девяноста")
_HUNDREDS_GENITIVE = _words("ста двухсот трёхсот четырёхсот пятисот шестисот семисот восьмисот девятисот")

# The masculine nominative of ordinals; other forms change the ending.
_ORDINAL_UNITS = _words("нулевой первый второй третий четвёртый пятый шестой седьмой восьмой девятый")
_ORDINAL_TEENS = _words(
    "десятый одиннадцатый двенадцатый тринадцатый четырнадцатый пятнадцатый шестнадцатый семнадцатый "
    "восемнадцатый девятнадцатый"
)
_ORDINAL_TENS = _words("двадцатый тридцатый сороковой пятидесятый шестидесятый семидесятый восьмидесятый девяностый")
_ORDINAL_HUNDREDS = _words(
    "сотый двухсотый трёхсотый четырёхсотый пятисотый шестисотый семисотый восьмисотый девятисотый"
)
_SCALES = (
    (10**9, "m", ("миллиард", "миллиарда", "миллиардов")),
    (10**6, "m", ("миллион", "миллиона", "миллионов")),
    (10**3, "f", ("тысяча", "тысячи", "тысяч")),
)
LIMIT = 10**12


def plural(number: int, one: str, few: str, many: str) -> str:
    """Chooses the form of a noun after a cardinal: 1 рубль, 2 рубля, 5 рублей.

    Args:
        number: what is counted.
        one: form after 1, 21, ...
        few: form after 2, 3, 4, 22, ...
        many: form after 0, 5..20, ...

    Returns:
        One of the three forms.
    """
    if number % 100 in range(11, 15):
        return many
    return (many, one, few, few, few, many, many, many, many, many)[number % 10]


def _below_thousand(number: int, gender: str) -> list[str]:
    words: list[str] = []
    if number >= 100:
        words.append(_HUNDREDS[number // 100 - 1])
    number %= 100
    if 10 <= number < 20:
        return [*words, _TEENS[number - 10]]
    if number >= 20:
        words.append(_TENS[number // 10 - 2])
    unit = number % 10
    if unit == 1:
        words.append({"m": "один", "f": "одна", "n": "одно"}[gender])
    elif unit == 2:
        words.append("две" if gender == "f" else "два")
    elif unit:
        words.append(_UNITS[unit])
    return words


def cardinal(number: int, gender: str = "m") -> str:
    """Spells a cardinal in the nominative.

    Args:
        number: 0 <= number < 10**12.
        gender: "m", "f" or "n", of the counted noun.

    Returns:
        Lower-case words separated by single spaces.

    Raises:
        ValueError: the number is out of range.
    """
    if not 0 <= number < LIMIT:
        raise ValueError(f"cannot spell {number}: only 0 to {LIMIT - 1}")
    if number == 0:
        return _UNITS[0]
    words: list[str] = []
    for scale, scale_gender, forms in _SCALES:
        count, number = divmod(number, scale)
        if count:
            words += [*_below_thousand(count, scale_gender), plural(count, *forms)]
    return " ".join(words + _below_thousand(number, gender))


def genitive(number: int) -> str:
    """Spells a cardinal below 1000 in the genitive (около двадцати пяти).

    Args:
        number: 0 <= number < 1000.

    Returns:
        Lower-case words.

    Raises:
        ValueError: the number is out of range.
    """
    if not 0 <= number < 1000:
        raise ValueError(f"cannot decline {number}: only 0 to 999")
    if number == 0:
        return _UNITS_GENITIVE[0]
    words: list[str] = []
    if number >= 100:
        words.append(_HUNDREDS_GENITIVE[number // 100 - 1])
    number %= 100
    if 10 <= number < 20:
        words.append(_TEENS[number - 10][:-1] + "и")
    else:
        if number >= 20:
            words.append(_TENS_GENITIVE[number // 10 - 2])
        if number % 10:
            words.append(_UNITS_GENITIVE[number % 10])
    return " ".join(words)


_OBLIQUE = {
    "dat": "нулю|одному|двум|трём|четырём",
    "ins": "нулём|одним|двумя|тремя|четырьмя",
    "prep": "нуле|одном|двух|трёх|четырёх",
}
_STEMS_OF_HUNDREDS = ("", "двух", "трёх", "четырёх", "пяти", "шести", "семи", "восьми", "девяти")


def _oblique_small(number: int, case: str) -> str:
    """Spells 0 to 99 without its tens of 20 and more; 40 and 90 have one form."""
    if number < 5:
        return _OBLIQUE[case].split("|")[number]
    word = _UNITS[number] if number < 10 else _TEENS[number - 10] if number < 20 else _TENS[number // 10 - 2]
    if number in (40, 90):
        return word[:-1] + "а" if number == 90 else "сорока"
    if number < 40:
        if case == "ins":
            return "восемью" if number == 8 else word + "ю"
        return "восьми" if number == 8 else word[:-1] + "и"
    stem = _TENS_GENITIVE[number // 10 - 2]
    return stem.removesuffix("идесяти") + "ьюдесятью" if case == "ins" else stem


def decline(number: int, case: str, gender: str = "m") -> str:
    """Spells a cardinal below 1000 in any case but the nominative and accusative.

    Args:
        number: 0 <= number < 1000.
        case: "gen", "dat", "ins" or "prep".
        gender: "m", "f" or "n", of the counted noun.

    Returns:
        Lower-case words.

    Raises:
        ValueError: the number is out of range.
    """
    feminine = gender == "f" and number % 10 == 1 and number % 100 != 11
    if case == "gen":
        text = genitive(number)
    else:
        if not 0 <= number < 1000:
            raise ValueError(f"cannot decline {number}: only 0 to 999")
        words: list[str] = []
        hundreds, rest = divmod(number, 100)
        if hundreds == 1:
            words.append("ста")
        elif hundreds:
            stem = _STEMS_OF_HUNDREDS[hundreds - 1]
            if case == "ins":
                stem = _oblique_small(hundreds, "ins")
            words.append(stem.removesuffix("х") + "мстам" if case == "dat" and hundreds < 5 else "")
            if not words[-1]:
                words[-1] = stem + {"dat": "стам", "ins": "стами", "prep": "стах"}[case]
        if rest >= 20:
            words.append(_oblique_small(rest // 10 * 10, case))
            rest %= 10
        if rest or not number:
            words.append(_oblique_small(rest, case))
        text = " ".join(words)
    return text.rpartition(" ")[0] + (" одной" if " " in text else "одной") if feminine else text


def _decline_ordinal(word: str, form: str) -> str:
    if form == "m":
        return word
    if word == "третий":
        return {"f": "третья", "n": "третье", "genitive": "третьего"}[form]
    return word[:-2] + {"f": "ая", "n": "ое", "genitive": "ого"}[form]


def ordinal(number: int, form: str = "m") -> str:
    """Spells an ordinal (двадцать пятый).

    Args:
        number: 0 <= number < 10000; round thousands only up to 4000.
        form: "m", "f", "n" (nominative) or "genitive" (двадцать пятого, as in dates).

    Returns:
        Lower-case words.

    Raises:
        ValueError: the number is out of range.
    """
    if not 0 <= number < 10000 or (number > 4000 and number % 1000 == 0):
        raise ValueError(f"cannot spell the ordinal of {number}")
    if number and number % 1000 == 0:
        stem = ("", "двух", "трёх", "четырёх")[number // 1000 - 1]
        return _decline_ordinal(stem + "тысячный", form)
    if number >= 10 and number % 100 in range(10, 20):
        last, rest = _ORDINAL_TEENS[number % 100 - 10], number - number % 100
    elif number % 10 or number == 0:
        last, rest = _ORDINAL_UNITS[number % 10], number - number % 10
    elif number % 100:
        last, rest = _ORDINAL_TENS[number % 100 // 10 - 2], number - number % 100
    else:
        last, rest = _ORDINAL_HUNDREDS[number % 1000 // 100 - 1], number - number % 1000
    head = cardinal(rest) if rest else ""
    if head.startswith("одна тысяча"):  # said without "one" in years
        head = head.removeprefix("одна ")
    return f"{head} {_decline_ordinal(last, form)}".strip()
