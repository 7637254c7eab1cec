import random

import pytest
from tritone_acoustic.data.calls.conjugation import conjugate
from tritone_acoustic.data.calls.declension import CASES, adjective_forms, agree, parse_noun
from tritone_acoustic.data.calls.pattern import Pattern
from tritone_acoustic.data.calls.topic import WordSet

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("entry", "singular", "plural"),
    [
        ("карта", "карта карты карте карту картой карте", "карты карт картам карты картами картах"),
        (
            "заявка:заявок",
            "заявка заявки заявке заявку заявкой заявке",
            "заявки заявок заявкам заявки заявками заявках",
        ),
        ("день/дн!o", "день дня дню день днём дне", "дни дней дням дни днями днях"),
        ("врач!ao", "врач врача врачу врача врачом враче", "врачи врачей врачам врачей врачами врачах"),
        ("счёт!Ae", "счёт счёта счёту счёт счётом счёте", "счета счетов счетам счета счетами счетах"),
        ("дверь!f", "дверь двери двери дверь дверью двери", "двери дверей дверям двери дверями дверях"),
        (
            "сообщение",
            "сообщение сообщения сообщению сообщение сообщением сообщении",
            "сообщения сообщений сообщениям сообщения сообщениями сообщениях",
        ),
    ],
)
def test_nouns(entry, singular, plural):
    forms = parse_noun(entry).forms
    assert " ".join(forms[case] for case in CASES) == singular
    assert " ".join(forms[f"{case}_pl"] for case in CASES) == plural


def test_adjectives_agree_with_gender_case_and_animacy():
    new, big, third, last = (adjective_forms(word) for word in ("новый", "большой", "третий", "последний"))
    worker = adjective_forms("рабочий")
    assert agree(new, parse_noun("врач!ao"), "acc") == "нового врача"
    assert agree(new, parse_noun("счёт!Ae"), "with") == "с новым счётом"
    assert agree(big, parse_noun("карта"), "gen") == "большой карты"
    assert agree(third, parse_noun("окно:окон"), "about") == "о третьем окне"
    assert agree(last, parse_noun("часы:часов!p"), "gen") == "последних часов"
    assert worker["f_gen"] == "рабочей"
    assert parse_noun("счёт!Ae").forms["with"] == "со счётом"
    assert parse_noun("оплата").forms["about"] == "об оплате"


def test_verbs():
    order = conjugate("заказать,закажу,закажет,закажи")
    assert (order["s2"], order["p3"], order["imps"], order["past_p"]) == ("закажешь", "закажут", "закажите", "заказали")
    assert conjugate("заблокировать")["s1"] == "заблокирую"
    assert conjugate("купить")["s1"] == "куплю"
    assert conjugate("вернуть")["p3"] == "вернут"
    assert conjugate("включить")["p3"] == "включат"
    assert conjugate("пользоваться")["past_f"] == "пользовалась"
    assert "imp" not in conjugate("потерять!x")


def test_pattern_chooses_among_alternatives_and_tidies_spaces():
    pattern = Pattern("[да|нет], {word} [тут|] .", lambda name: lambda rng: name)
    assert {pattern.fill(random.Random(seed)) for seed in range(30)} == {
        "Да, word тут.", "Нет, word тут.", "Да, word.", "Нет, word.",
    }  # fmt: skip


def test_nobody_is_asked_to_lose_a_thing():
    words = WordSet("ключ!o", verbs="найти;найду;найдёт;найди;нашёл;нашла, потерять!x", now="искать;ищу;ищет;ищи")
    rng = random.Random(1)
    assert {words.verb(rng, ">", "imps") for _ in range(30)} == {"найдите"}
    assert {words.verb(rng, ">", "past_f") for _ in range(30)} == {"нашла", "потеряла"}
