"""Generates telephone sentences: fills the slots of `phrases` with values drawn at random.

The text has punctuation for the synthesiser and no digits; normalisation is in `normalize`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from tritone_acoustic.data import lexicon, phrases
from tritone_acoustic.data.numerals import cardinal, genitive, ordinal, plural
from tritone_acoustic.data.values import (
    address,
    count,
    date,
    digit_groups,
    money,
    name,
    phone,
    spread,
    time_exact,
    time_of_day,
)

Random = random.Random
_Slot = Callable[[Random], str]


def _digits(low: int, high: int) -> _Slot:
    return lambda rng: digit_groups(rng, "".join(rng.choice("0123456789") for _ in range(rng.randint(low, high))))


def _plate(rng: Random) -> str:
    letters = [rng.choice(["а", "вэ", "е", "ка", "эм", "эн", "о", "эр", "эс", "тэ", "у", "ха"]) for _ in range(3)]
    return f"{letters[0]} {digit_groups(rng, f'{rng.randrange(1, 1000):03}')} {letters[1]} {letters[2]}"


def _email(rng: Random) -> str:
    site = rng.choice(("яндекс", "мэйл", "рамблер", "джимейл"))
    tail = rng.choice(("точка ру", "точка ком"))
    return f"{name(rng, rng.choice('fs')).lower()} {cardinal(rng.randrange(100))} собака {site} {tail}"


def _percent(rng: Random) -> str:
    number = rng.randint(1, 40)
    if rng.random() < 0.3:
        return f"{cardinal(number, 'f')} {plural(number, 'целая', 'целых', 'целых')} и пять десятых процента"
    return f"{cardinal(number)} {plural(number, 'процент', 'процента', 'процентов')}"


def _duration(rng: Random) -> str:
    nouns = (
        (30, "m", "день", "дня", "дней"),
        (12, "m", "час", "часа", "часов"),
        (4, "f", "неделя", "недели", "недель"),
        (11, "m", "месяц", "месяца", "месяцев"),
        (50, "f", "минута", "минуты", "минут"),
    )
    high, *forms = rng.choice(nouns)
    return count(rng, 1, high, *forms)


def _counted(low: int, high: int, gender: str, one: str, few: str, many: str) -> _Slot:
    return lambda rng: count(rng, low, high, gender, one, few, many)


def _one_of(words: list[str]) -> _Slot:
    return lambda rng: rng.choice(words)


_SLOTS: dict[str, _Slot] = {
    "address": address,
    "body": _one_of(["голова", "горло", "спина", "живот", "зуб", "нога", "рука", "сердце", "шея", "колено"]),
    "car": _one_of(lexicon.CARS),
    "car_plate": _plate,
    "city": _one_of(lexicon.CITIES),
    "code": _digits(4, 6),
    "colour": _one_of(lexicon.COLOURS),
    "colour_cap": lambda rng: rng.choice(lexicon.COLOURS).capitalize(),
    "company": _one_of(lexicon.COMPANIES),
    "count_degrees": _counted(0, 35, "m", "градус", "градуса", "градусов"),
    "count_digits": _counted(3, 9, "f", "цифра", "цифры", "цифр"),
    "count_messages": _counted(1, 40, "n", "новое сообщение", "новых сообщения", "новых сообщений"),
    "count_metres": _counted(1, 25, "m", "метр", "метра", "метров"),
    "count_minutes": _counted(100, 2000, "f", "минута", "минуты", "минут"),
    "count_people": _counted(2, 30, "m", "человек", "человека", "человек"),
    "count_things": _counted(2, 20, "f", "штука", "штуки", "штук"),
    "count_times": _counted(2, 10, "m", "раз", "раза", "раз"),
    "date": date,
    "date_year": lambda rng: date(rng, year=True),
    "day_word": _one_of(["сегодня", "завтра", "послезавтра", "вечером", "утром", "после обеда", "через час"]),
    "days_genitive": lambda rng: f"{genitive(rng.randint(2, 45))} дней",
    "department": _one_of(lexicon.DEPARTMENTS),
    "digit": lambda rng: cardinal(rng.randrange(10)),
    "digits": _digits(5, 12),
    "digits_short": _digits(3, 5),
    "duration": _duration,
    "email": _email,
    "first_name": lambda rng: name(rng, "f"),
    "four_digits": _digits(4, 4),
    "full_name": lambda rng: name(rng, rng.choice(("sfp", "fps", "fs", "sf"))),
    "gigabytes": _counted(1, 100, "m", "гигабайт", "гигабайта", "гигабайт"),
    "goods": _one_of(lexicon.GOODS),
    "goods_cap": lambda rng: rng.choice(lexicon.GOODS).capitalize(),
    "hour": lambda rng: cardinal(rng.randint(6, 23)),
    "hour_genitive": lambda rng: f"{genitive(rng.randint(6, 23))} часов",
    "meter": lambda rng: digit_groups(rng, str(rng.randrange(100, 100_000))),
    "minutes": _counted(1, 59, "f", "минута", "минуты", "минут"),
    "minutes_genitive": lambda rng: f"{genitive(rng.randint(2, 30))} минут",
    "money": money,
    "money_genitive": lambda rng: f"{genitive(rng.randrange(2, 10) * 100)} рублей",
    "months": _counted(1, 36, "m", "месяц", "месяца", "месяцев"),
    "name_patronymic": lambda rng: name(rng, "fp"),
    "number_pairs": _digits(6, 8),
    "number_small": lambda rng: cardinal(spread(rng, 1, 120)),
    "ordinal": lambda rng: ordinal(rng.randint(1, 30)),
    "ordinal_genitive": lambda rng: ordinal(rng.randint(1, 12), "genitive"),
    "percent": _percent,
    "phone": phone,
    "place": _one_of(lexicon.PLACES),
    "pressure": lambda rng: f"{cardinal(rng.randrange(10, 20) * 10)} на {cardinal(rng.randrange(6, 12) * 10)}",
    "service": _one_of(lexicon.SERVICES),
    "six_digits": _digits(6, 6),
    "spelled": lambda rng: ", ".join(rng.choice(lexicon.LETTERS) for _ in range(rng.randint(3, 8))),
    "street": _one_of(lexicon.STREETS),
    "surname": lambda rng: name(rng, "s"),
    "tenth": lambda rng: cardinal(rng.randint(1, 9)),
    "thing_acc": lambda rng: rng.choice(lexicon.THINGS).split("/")[0],
    "thing_gen": lambda rng: rng.choice(lexicon.THINGS).split("/")[1],
    "three_digits": _digits(3, 3),
    "time": time_of_day,
    "time_exact": time_exact,
    "two_pairs": _digits(4, 4),
    "weekday": _one_of(lexicon.WEEKDAYS),
    "weekday_cap": lambda rng: rng.choice(lexicon.WEEKDAYS).capitalize(),
    "years": _counted(1, 17, "m", "год", "года", "лет"),
}


def fill(rng: Random, pattern: str) -> str:
    """Fills the slots of one pattern.

    Args:
        rng: source of randomness.
        pattern: text with {slot} names.

    Returns:
        The sentence.

    Raises:
        KeyError: the pattern names an unknown slot.
    """
    return re.sub(r"\{(\w+)\}", lambda match: _SLOTS[match.group(1)](rng), pattern)


_BARE = (
    "{money}", "{date}", "{date_year}", "{time}", "{time_exact}", "{phone}", "{digits}", "{address}", "{full_name}",
    "{percent}", "{duration}", "{spelled}", "{city}", "{number_small}", "{car_plate}", "{meter}", "{name_patronymic}",
)  # fmt: skip


def call_sentence(rng: Random) -> str:
    """Generates one or two sentences of a telephone call.

    Args:
        rng: source of randomness.

    Returns:
        Text with punctuation, without digits.
    """
    kind = rng.random()
    if kind < 0.18:
        return fill(rng, rng.choice(_BARE)).capitalize()
    if kind < 0.33:
        return fill(rng, rng.choice(phrases.MENU))
    text = fill(rng, rng.choice(phrases.CALLER if kind < 0.68 else phrases.OPERATOR))
    if rng.random() < 0.2:
        opening = rng.choice(phrases.REPLIES)
        text = f"{opening.capitalize()}, {text[0].lower()}{text[1:]}"
    return text


def reply(rng: Random) -> str:
    """Generates a short answer: a back-channel, a digit or two, a letter.

    Args:
        rng: source of randomness.

    Returns:
        One to about six words.
    """
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(phrases.REPLIES)
    if kind < 0.75:
        return " ".join(cardinal(rng.randrange(10)) for _ in range(rng.randint(1, 4)))
    if kind < 0.85:
        return cardinal(spread(rng, 0, 3000), rng.choice("mmfn"))
    if kind < 0.92:
        return ordinal(rng.randint(1, 99), rng.choice(("m", "f", "n", "genitive")))
    return ", ".join(rng.choice(lexicon.LETTERS) for _ in range(rng.randint(1, 3)))
