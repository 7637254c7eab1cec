"""Values in all cases that the topics' patterns ask for: durations, people, days, counted things.

Only drawing of single values; simple ones are in `tritone_acoustic.data.values`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from tritone_acoustic.data import lexicon
from tritone_acoustic.data.calls.declension import CASES, Noun, adjective_forms, parse_noun
from tritone_acoustic.data.numerals import cardinal, decline, genitive, ordinal, plural
from tritone_acoustic.data.values import count, spread

Random = random.Random
Slot = Callable[[Random], str]

_MONTHS = [
    "январь!mo",
    "февраль!mo",
    "март",
    "апрель!m",
    "май",
    "июнь!m",
    "июль!m",
    "август",
    "сентябрь!mo",
    "октябрь!mo",
    "ноябрь!mo",
    "декабрь!mo",
]
_DAYS = ["понедельник", "вторник", "среда", "четверг!o", "пятница", "суббота", "воскресенье"]
# Names whose declension needs marks.
_MARKED = {
    "Павел": "Павел/Павл!a", "Пётр": "Пётр/Петр!a", "Лев": "Лев/Льв!ao", "Любовь": "Любовь!fa", "Илья": "Илья!mao",
    "Никита": "Никита!ma", "Игорь": "Игорь!ma",
}  # fmt: skip
_CITIES = [
    parse_noun(f"{city}!f" if city in lexicon.FEMININE_CITIES else "Орёл/Орл" if city == "Орёл" else city)
    for city in lexicon.CITIES
    if city not in lexicon.UNDECLINED_CITIES
]
_MALE = [parse_noun(_MARKED.get(name, name + "!a")) for name in lexicon.MALE_NAMES]
_FEMALE = [parse_noun(_MARKED.get(name, name + "!a")) for name in lexicon.FEMALE_NAMES]
_FATHERS = [parse_noun(name + "!ao" if name == "Ильич" else name + "!a") for name in lexicon.MALE_PATRONYMICS]
_MOTHERS = [parse_noun(name + "!a") for name in lexicon.FEMALE_PATRONYMICS]
_SURNAME_ENDINGS = {
    "m": dict(zip(CASES, ("", "а", "у", "а", "ым", "е"), strict=True)),
    "f": dict(zip(CASES, ("а", "ой", "ой", "у", "ой", "ой"), strict=True)),
}
_STREETS = [word for word in lexicon.STREETS if " " not in word and word.endswith("ая")]
_NAMED = [word for word in lexicon.STREETS if not word.endswith(("ая", "яя"))]
_STREET_CASES = {"nom": "улица ", "gen": "улицы ", "dat": "улице ", "acc": "улицу ", "ins": "улицей ", "prep": "улице "}
_TIME = {
    name: parse_noun(entry)
    for name, entry in (
        ("секунда", "секунда"), ("минута", "минута"), ("час", "час"), ("день", "день/дн!o"), ("неделя", "неделя"),
        ("месяц", "месяц"), ("год", "год:лет"),
    )
}  # fmt: skip
_PLURALS = {
    "seconds": "секунда", "minutes": "минута", "hours": "час", "days": "день", "weeks": "неделя", "months": "месяц",
    "years": "год",
}  # fmt: skip
_TIME_LIMITS = {"секунда": 59, "минута": 59, "час": 24, "день": 40, "неделя": 6, "месяц": 24, "год": 20}


def counted(rng: Random, noun: Noun, high: int, case: str = "nom") -> str:
    """Draws a number with a noun in one case.

    Args:
        rng: source of randomness.
        noun: what is counted; inanimate.
        high: largest number.
        case: one of CASES.

    Returns:
        Such as "двадцатью одной минутой" or "две минуты".
    """
    number = spread(rng, 1, high)
    if case in ("nom", "acc"):
        one = noun.forms[case]
        words = cardinal(number, noun.gender)
        if case == "acc" and noun.gender == "f" and words.endswith("одна"):
            words = words[:-1] + "у"
        return f"{words} {plural(number, one, noun.forms['gen'], noun.forms['gen_pl'])}"
    singular = plural(number, "one", "few", "many") == "one"
    return f"{decline(number, case, noun.gender)} {noun.forms[case if singular else case + '_pl']}"


def _time_units(unit: str, case: str) -> Slot:
    return lambda rng: counted(rng, _TIME[unit], _TIME_LIMITS[unit], case)


def _duration(case: str) -> Slot:
    units = list(_TIME)

    def draw(rng: Random) -> str:
        kind = rng.random()
        if kind < 0.1:
            halves = ("полчаса", "полтора часа", "полгода", "полторы минуты", "пару часов", "сутки", "полдня")
            return rng.choice(halves) if case in ("nom", "acc") else "одних суток"
        unit = rng.choice(units)
        if kind < 0.25:
            return _TIME[unit].forms[case]
        return counted(rng, _TIME[unit], _TIME_LIMITS[unit], case)

    return draw


def person(rng: Random, case: str) -> str:
    """Draws a person's name in a case, in one of the ways people name one another.

    Args:
        rng: source of randomness.
        case: one of CASES, or "voc" for an address.

    Returns:
        Capitalised words.
    """
    woman = rng.random() < 0.5
    first = rng.choice(_FEMALE if woman else _MALE)
    father = rng.choice(_MOTHERS if woman else _FATHERS)
    shape = rng.choice(("f", "fp") if case == "voc" else ("f", "f", "fp", "fp", "s", "fs", "sfp"))
    key = "nom" if case == "voc" else case
    words = {
        "f": first.forms[key],
        "p": father.forms[key],
        "s": rng.choice(lexicon.SURNAMES) + _SURNAME_ENDINGS["f" if woman else "m"][key],
    }
    return " ".join(words[letter] for letter in shape)


def _city(case: str) -> Slot:
    return lambda rng: rng.choice(_CITIES).forms[case]


def _street(case: str) -> Slot:
    def draw(rng: Random) -> str:
        if rng.random() < 0.5:
            return _STREET_CASES[case] + adjective_forms(rng.choice(_STREETS)[:-2] + "ый")["f_" + case]
        return _STREET_CASES[case] + rng.choice(_NAMED)

    return draw


def _ordinal(form: str) -> Slot:
    def draw(rng: Random) -> str:
        head, _, last = ordinal(rng.randint(1, 40)).rpartition(" ")
        return f"{head} {adjective_forms(last)[form]}".strip()

    return draw


def _in_day(rng: Random) -> str:
    day = rng.choice(lexicon.WEEKDAYS)
    return f"{'во' if day == 'вторник' else 'в'} {day}"


def _when(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.3:
        return _in_day(rng)
    if kind < 0.5:
        return f"через {_duration('acc')(rng)}"
    if kind < 0.6:
        return f"к {decline(rng.randint(2, 12), 'dat')} часам"
    return rng.choice(lexicon.WHEN_LATER)


def _past(rng: Random) -> str:
    if rng.random() < 0.35:
        return f"{_duration('acc')(rng)} назад"
    return rng.choice(lexicon.WHEN_BEFORE) if rng.random() < 0.6 else _in_day(rng)


def _noun(entries: list[str], case: str) -> Slot:
    nouns = [parse_noun(entry) for entry in entries]
    return lambda rng: rng.choice(nouns).forms[case]


def _range(rng: Random) -> str:
    first, last = sorted(rng.sample(range(7), 2))
    return f"{'со' if first == 1 else 'с'} {_DAY_NOUNS[first].forms['gen']} по {_DAY_NOUNS[last].forms['acc']}"


_DAY_NOUNS = [parse_noun(day) for day in _DAYS]
_RUBLE = parse_noun("рубль!mo")
_GOODS = [parse_noun(entry) for entry in lexicon.COUNTED.split(", ")]


def _money(case: str) -> Slot:
    return lambda rng: counted(rng, _RUBLE, rng.choice((50, 500, 999)), case)


def _simple(high: int, gender: str, one: str, few: str, many: str) -> Slot:
    return lambda rng: count(rng, 1, high, gender, one, few, many)


SLOTS: dict[str, Slot] = {
    "abonent_state": lambda rng: rng.choice(lexicon.LINE_STATES),
    "call_back": lambda rng: rng.choice(lexicon.CALL_BACK),
    "cardinal": lambda rng: cardinal(spread(rng, 1, rng.choice((20, 100, 1000, 9000)))),
    "count_calls": _simple(90, "m", "звонок", "звонка", "звонков"),
    "count_kilos": _simple(90, "m", "килограмм", "килограмма", "килограммов"),
    "count_members": _simple(40, "m", "участник", "участника", "участников"),
    "count_metres_sq": _simple(120, "m", "квадратный метр", "квадратных метра", "квадратных метров"),
    "count_new_messages": lambda rng: count(rng, 1, 60, "n", *rng.choice(lexicon.MESSAGE_FORMS)),
    "count_sms": _simple(500, "n", "сообщение", "сообщения", "сообщений"),
    "counted_goods": lambda rng: counted(rng, rng.choice(_GOODS), 30),
    "day_acc": _noun(_DAYS, "acc"),
    "day_dat": _noun(_DAYS, "dat"),
    "day_nom": _noun(_DAYS, "nom"),
    "day_on": _noun(_DAYS, "acc"),
    "day_when": _when,
    "digit_dat": lambda _: "одной",
    "digit_people": lambda rng: rng.choice(("двое", "трое", "четверо", "пятеро", "шестеро", "семеро")),
    "digit_two": lambda rng: rng.choice(("полтора", "два", "три", "четыре")),
    "digits_word": lambda rng: count(rng, 2, 9, "f", "цифру", "цифры", "цифр"),
    "duration_acc": _duration("acc"),
    "duration_gen": _duration("gen"),
    "hours_range": lambda rng: f"с {genitive(rng.randint(6, 11))} до {genitive(rng.randint(16, 23))}",
    "kop": _simple(99, "f", "копейка", "копейки", "копеек"),
    "letter": lambda rng: rng.choice(lexicon.LETTERS),
    "minutes_acc": _time_units("минута", "acc"),
    "money_acc": _money("acc"),
    "money_dat": _money("dat"),
    "month_nom": _noun(_MONTHS, "nom"),
    "month_prep": _noun(_MONTHS, "prep"),
    "ordinal_acc": _ordinal("f_acc"),
    "ordinal_acc_m": _ordinal("m_acc"),
    "ordinal_prep": _ordinal("m_prep"),
    "place_short": _street("prep"),
    "rub": lambda rng: count(rng, 5, 20, "m", "рубль", "рубля", "рублей"),
    "seconds": _time_units("секунда", "nom"),
    "seconds_acc": _time_units("секунда", "acc"),
    "time_bare": lambda rng: f"{cardinal(rng.randint(0, 23))} {rng.choice(lexicon.MINUTES_SAID)}",
    "weekday_range": _range,
    "when": _when,
    "when_past": _past,
}
SLOTS |= {f"{unit}_{case}": _time_units(name, case) for unit, name in _PLURALS.items() for case in CASES}
SLOTS |= {f"city_{case}": _city(case) for case in CASES}
SLOTS |= {f"street_{case}": _street(case) for case in CASES}
SLOTS |= {f"person.{case}": partial(person, case=case) for case in (*CASES, "voc")}
