"""Generates telephone sentences: fills the slots of `phrases` and `calls` with values drawn at random.

The text has punctuation for the synthesiser and no digits; normalisation is in `normalize`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache, partial

from tritone_acoustic.data import lexicon, phrases
from tritone_acoustic.data.calls import (
    bank,
    clinic,
    clock,
    conference,
    delivery,
    generic,
    home,
    ivr,
    office,
    slots,
    smalltalk,
    support,
    travel,
    voicemail,
)
from tritone_acoustic.data.calls.pattern import Pattern
from tritone_acoustic.data.calls.topic import Topic
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


def _find(name: str) -> _Slot:
    """Gives what draws a slot: a value, a noun ("bill.acc") or a verb ("bill>inf", "bill<s1") of a word set."""
    draw = _SLOTS.get(name) or slots.SLOTS.get(name)
    if draw is not None:
        return draw
    match = re.fullmatch(r"(\w+)([.<>])(\w+)", name)
    if match is None:
        raise KeyError(name)
    words, sign, form = _WORDS[match.group(1)], match.group(2), match.group(3)
    return partial(words.noun, form=form) if sign == "." else partial(words.verb, aspect=sign, form=form)


@cache
def _compiled(pattern: str) -> Pattern:
    return Pattern(pattern, _find)


def patterns() -> list[str]:
    """Lists every pattern, those of `generic` once for each word set they apply to.

    Returns:
        Patterns that `fill` accepts.
    """
    topical = [pattern for topic in _TOPICS for pattern in topic.patterns]
    return [*phrases.CALLER, *phrases.OPERATOR, *phrases.MENU, *topical, *_GENERIC, *_BARE]


def fill(rng: Random, pattern: str) -> str:
    """Fills the slots of one pattern.

    Args:
        rng: source of randomness.
        pattern: text with {slot} names and [alternatives|of words].

    Returns:
        The sentence.

    Raises:
        KeyError: the pattern names an unknown slot.
    """
    return _compiled(pattern).fill(rng).replace("в вторник", "во вторник").replace("В вторник", "Во вторник")


_TOPICS: tuple[Topic, ...] = tuple(
    module.TOPIC
    for module in (
        bank, clinic, clock, conference, delivery, home, ivr, office, smalltalk, support, travel, voicemail,
    )
)  # fmt: skip
_WEIGHTS = [topic.weight for topic in _TOPICS]
_WORDS = {name: words for topic in _TOPICS for name, words in topic.words.items()}
_THINGS = [name for topic in _TOPICS for name in topic.generic]
_GENERIC = [
    pattern.replace("{n.", f"{{{name}.").replace("{>", f"{{{name}>").replace("{<", f"{{{name}<")
    for name in _THINGS
    for pattern in generic.PATTERNS
]
_BARE = (
    "{money}", "{date}", "{date_year}", "{time}", "{time_exact}", "{phone}", "{digits}", "{address}", "{full_name}",
    "{percent}", "{duration}", "{spelled}", "{city}", "{number_small}", "{car_plate}", "{meter}", "{name_patronymic}",
)  # fmt: skip
_CASES = ("nom", "gen", "dat", "acc", "ins", "prep", "nom_pl", "gen_pl", "dat_pl", "ins_pl", "prep_pl")
_PERSONS = ("inf", "imps", "imp", "s1", "s2", "s3", "p1", "p2", "p3", "past_m", "past_f", "past_p")


def call_sentence(rng: Random) -> str:
    """Generates one or two sentences of a telephone call.

    Args:
        rng: source of randomness.

    Returns:
        Text with punctuation, without digits.
    """
    kind = rng.random()
    if kind < 0.09:
        return fill(rng, rng.choice(_BARE))
    if kind < 0.25:
        text = fill(rng, rng.choice(rng.choice((phrases.MENU, phrases.CALLER, phrases.OPERATOR))))
    elif kind < 0.68:
        text = fill(rng, rng.choice(rng.choices(_TOPICS, _WEIGHTS)[0].patterns))
    else:
        text = fill(rng, rng.choice(_GENERIC))
    if rng.random() < 0.12:
        opening = rng.choice(phrases.REPLIES)
        text = f"{opening.capitalize()}, {text[0].lower()}{text[1:]}"
    return text


def _few_words(rng: Random) -> str:
    """Draws one to three words of a word set: a noun, a verb, or a verb with its noun."""
    words = _WORDS[rng.choice(_THINGS if rng.random() < 0.7 else list(_WORDS))]
    kind = rng.random() if words.has_verbs else 0.0
    if kind < 0.45:
        return words.noun(rng, rng.choice(_CASES if words.has_verbs else _CASES[:6]))
    verb = words.verb(rng, rng.choice("><"), rng.choice(_PERSONS))
    return verb if kind < 0.75 else f"{verb} {words.noun(rng, 'acc')}"


def reply(rng: Random) -> str:
    """Generates a short answer: a back-channel, a few words of a topic, a digit or two, a letter.

    Args:
        rng: source of randomness.

    Returns:
        One to about eight words.
    """
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(phrases.REPLIES)
    if kind < 0.55:
        return _few_words(rng)
    if kind < 0.65:
        return fill(rng, rng.choice(smalltalk.PATTERNS)).partition(",")[0]
    if kind < 0.78:
        return " ".join(cardinal(rng.randrange(10)) for _ in range(rng.randint(1, 4)))
    if kind < 0.86:
        return cardinal(spread(rng, 0, 3000), rng.choice("mmfn"))
    if kind < 0.93:
        return ordinal(rng.randint(1, 99), rng.choice(("m", "f", "n", "genitive")))
    return ", ".join(rng.choice(lexicon.LETTERS) for _ in range(rng.randint(1, 3)))
