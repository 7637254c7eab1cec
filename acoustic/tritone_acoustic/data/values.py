"""Random sums, dates, times, names, numbers and addresses as people say them.

Only single values; `templates` puts them into sentences.
"""

from __future__ import annotations

import random

from tritone_acoustic.data import lexicon
from tritone_acoustic.data.numerals import cardinal, genitive, ordinal, plural

Random = random.Random


def spread(rng: Random, low: int, high: int) -> int:
    """Draws a number with small ones likelier, and sometimes a round one.

    Args:
        rng: source of randomness.
        low: smallest number.
        high: largest number.

    Returns:
        The number.
    """
    number = int(low + (high - low) * rng.random() ** 2.5)
    if number > 100 and rng.random() < 0.5:
        step = 10 ** (len(str(number)) - rng.choice((1, 2)))
        number = max(low, number // step * step)
    return number


def count(rng: Random, low: int, high: int, gender: str, one: str, few: str, many: str) -> str:
    """Draws a counted noun.

    Args:
        rng: source of randomness.
        low: smallest number.
        high: largest number.
        gender: "m", "f" or "n", of the noun.
        one: the noun after 1.
        few: the noun after 2.
        many: the noun after 5.

    Returns:
        Text such as "двадцать одна минута".
    """
    number = spread(rng, low, high)
    return f"{cardinal(number, gender)} {plural(number, one, few, many)}"


def money(rng: Random) -> str:
    """Draws a sum of money, sometimes with kopecks.

    Args:
        rng: source of randomness.

    Returns:
        Text such as "сто один рубль двадцать копеек".
    """
    high = rng.choice((100, 1000, 10_000, 100_000, 5_000_000))
    text = count(rng, 1, high, "m", "рубль", "рубля", "рублей")
    if rng.random() < 0.3:
        text += " " + count(rng, 1, 99, "f", "копейка", "копейки", "копеек")
    return text


def digit_groups(rng: Random, digits: str) -> str:
    """Reads a digit string as people do: one by one, in pairs or in threes.

    Args:
        rng: source of randomness.
        digits: ASCII digits.

    Returns:
        Number words with commas between groups.
    """
    size = rng.choice((1, 2, 2, 3))
    words: list[str] = []
    start = 0
    while start < len(digits):
        group = digits[start : start + size]
        start += size
        zeros = len(group) - len(group.lstrip("0"))
        spelled = ["ноль"] * zeros + ([cardinal(int(group))] if group.lstrip("0") else [])
        words.append(" ".join(spelled))
    return (", " if rng.random() < 0.5 else " ").join(words)


def phone(rng: Random) -> str:
    """Draws a telephone number.

    Args:
        rng: source of randomness.

    Returns:
        Number words, usually with the country or trunk prefix.
    """
    code = rng.choice(("9" + f"{rng.randrange(100):02}", "495", "812", "800", f"{rng.randrange(300, 900)}"))
    head = rng.choice(("восемь ", "плюс семь ", ""))
    numbers = [cardinal(int(code)), cardinal(rng.randrange(100, 1000))]
    numbers += [digit_groups(rng, f"{rng.randrange(100):02}") for _ in range(2)]
    return head + (", " if rng.random() < 0.6 else " ").join(numbers)


def date(rng: Random, year: bool = False) -> str:
    """Draws a date in the genitive.

    Args:
        rng: source of randomness.
        year: add the year.

    Returns:
        Text such as "двадцать пятого мая тысяча девятьсот восьмидесятого года".
    """
    text = f"{ordinal(rng.randint(1, 31), 'genitive')} {rng.choice(lexicon.MONTHS)}"
    if year:
        number = rng.choice((rng.randint(1940, 2010), rng.randint(2015, 2030)))
        text += f" {ordinal(number, 'genitive')} года"
    return text


def time_of_day(rng: Random) -> str:
    """Draws a time as it is said.

    Args:
        rng: source of randomness.

    Returns:
        Text such as "в половине третьего" or "в семь тридцать".
    """
    hour = rng.randint(1, 12)
    choice = rng.randrange(5)
    if choice == 0:
        return f"в половине {ordinal(hour, 'genitive')}"
    if choice == 1:
        return f"без {genitive(rng.choice((5, 10, 20)))} {cardinal(hour)}"
    if choice == 2:
        return f"в {cardinal(hour)} {rng.choice(('утра', 'вечера', 'дня', 'ночи'))}"
    if choice == 3:
        return f"в {cardinal(rng.randint(0, 23))} {rng.choice(('ноль ноль', 'тридцать', 'пятнадцать', 'сорок пять'))}"
    return f"около {ordinal(hour, 'genitive')} часа" if hour == 1 else f"к {cardinal(hour)} часам"


def time_exact(rng: Random) -> str:
    """Draws hours and minutes.

    Args:
        rng: source of randomness.

    Returns:
        Text such as "двадцать один час две минуты".
    """
    hours = count(rng, 0, 23, "m", "час", "часа", "часов")
    return f"{hours} {count(rng, 0, 59, 'f', 'минута', 'минуты', 'минут')}"


def name(rng: Random, shape: str) -> str:
    """Draws a personal name of a man or a woman.

    Args:
        rng: source of randomness.
        shape: letters f (first name), p (patronymic), s (surname) in the order said.

    Returns:
        Capitalised words.
    """
    woman = rng.random() < 0.5
    parts = {
        "f": rng.choice(lexicon.FEMALE_NAMES if woman else lexicon.MALE_NAMES),
        "p": rng.choice(lexicon.FEMALE_PATRONYMICS if woman else lexicon.MALE_PATRONYMICS),
        "s": rng.choice(lexicon.SURNAMES) + ("а" if woman else ""),
    }
    return " ".join(parts[letter] for letter in shape)


def address(rng: Random) -> str:
    """Draws a street address.

    Args:
        rng: source of randomness.

    Returns:
        Text such as "улица Лесная, дом пять, квартира сто".
    """
    street = rng.choice(lexicon.STREETS)
    kinds = ("улица",) if street.endswith(("ая", "яя")) else ("улица", "улица", "проспект", "переулок", "бульвар")
    text = f"{rng.choice(kinds)} {street}"
    text += f", {rng.choice(('дом', 'дом', ''))} {cardinal(spread(rng, 1, 250))}".replace("  ", " ")
    if rng.random() < 0.25:
        text += f", корпус {cardinal(rng.randint(1, 9))}"
    if rng.random() < 0.7:
        text += f", квартира {cardinal(spread(rng, 1, 500))}"
    if rng.random() < 0.15:
        text += f", {ordinal(rng.randint(1, 25), 'm')} этаж"
    return text
