"""Reads what KTuberling's toys are called in Russian: single words, a woman and a man at home microphones.

The woman (pitch 190 to 280 Hz, recorded on one day) says tux-*, *-tux, tv_* and xmas_*; the others are a man (120 to
180 Hz, two days; neither pitch nor spectrum tells of a second one). The game ships no transcripts, so they are listed
here: from the names of the files and from what the default models heard. Left out are recordings that nobody could make
out, and three (egypt_road, moon_star, pizzeria_salami) for which version 5 of the default model finds more than twenty
other captions of this list likelier; of the rest it finds the listed one the likeliest in nine cases of ten.
"""

from __future__ import annotations

import re

from tritone_acoustic.data.audio import Clip
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.small_recordings import fits, read_recording

_WOMAN = re.compile(r"(tv|xmas)_|.*\btux")
# Words -> recordings that say them (usr/share/ktuberling/sounds/ru/NAME.ogg).
SPOKEN = {
    "авария": "tv_accident",
    "ананас": "pizzeria_pineapple",
    "ангел": "xmas_angel",
    "арка": "egypt_arch",
    "бекон": "pizzeria_bacon",
    "болезнь": "tux-sick",
    "брокколи": "pizzeria_brocolli",
    "бутылка": "tux-flask",
    "вагон": "tv_wagon",
    "ваза": "tux-vase",
    "верблюд": "egypt_camel",
    "ветка омелы": "xmas_mistletoe",
    "волейбольная сетка": "tv_volley_net",
    "волосы": "hair",
    "вопрос": "tux-what",
    "гирлянда": "xmas_garland",
    "гитара": "tux-guitar tv_guitar",
    "гитарист": "tv_guitarist",
    "гнев": "tux-angry",
    "гриб": "pizzeria_mushroom",
    "грузовик": "tv_lorry",
    "девочка": "egypt_girl",
    "дом": "tv_house",
    "дорога": "tv_path",
    "дым": "tv_smoke",
    "ёлочная игрушка": "xmas_ball",
    "женщина": "egypt_woman",
    "жираф": "tv_giraffe",
    "забор": "tv_fence",
    "звезда": "xmas_star",
    "земля": "moon_earth",
    "знак": "moon_sign",
    "камень": "tv_rock",
    "караван": "tv_caravan",
    "ключ": "tux-key",
    "колдунья": "whitch-tux",
    "колодец": "egypt_well",
    "комета": "xmas_comet",
    "космонавт": "moon_astronaut",
    "кролик": "xmas_rabbit",
    "кружка": "tux-teacup",
    "кубок": "tux-goblet",
    "лев": "tv_lion",
    "лестница": "tv_ladder",
    "лук": "bow tux-bow",
    "луна": "xmas_moon",
    "луноход": "moon_moonwalker",
    "любовь": "tux-love",
    "магазин": "tv_shop",
    "малыш тукс": "little-tux",
    "мальчик": "egypt_boy tv_man",
    "метеор": "moon_fallingstar",
    "механик": "tv_mechanic",
    "мишень": "tux-bullseye",
    "мост": "egypt_bridge",
    "мужчина": "egypt_man",
    "муха": "tux-fly",
    "мысль": "tux-idea",
    "мяч": "ball tv_ball",
    "новогодний костюм": "xmas_tux",
    "новогодняя ёлка": "xmas_tree",
    "нос": "nose",
    "нота": "tux-note",
    "ноты": "tux-notes",
    "обезьяна": "tv_monkey",
    "огоньки": "xmas_lights",
    "огурец": "pizzeria_cucumber",
    "олень": "xmas_reindeer",
    "отец тукс": "frier-tux",
    "очки": "spectacles",
    "пальма": "egypt_palmtree",
    "пиджак": "coat",
    "пирамида": "egypt_pyramid",
    "письмо": "tux-letter",
    "планета": "moon_planet",
    "подарок": "xmas_present",
    "пожар": "tv_fire",
    "пожарная машина": "tv_fireengine",
    "пожарный": "tv_fireman",
    "помидор": "pizzeria_tomato",
    "принц": "prince-tux",
    "прицеп": "tv_trailer",
    "пришелец": "moon_alien",
    "птица": "tux-dowe",
    "радар": "moon_radar",
    "ракета": "moon_rocket",
    "ребёнок": "kid-tux",
    "робин тукс": "robin-tux",
    "рыба": "tux-fish",
    "рыбак": "tv_fisherman",
    "самосвал": "tv_tipper",
    "сапожки": "xmas_boot",
    "сапожок": "xmas_shoe",
    "свеча": "xmas_candle",
    "серьги": "earring",
    "слон": "tv_elephant",
    "смех": "tux-laugh",
    "снеговик": "xmas_snowman",
    "снежинка": "xmas_snowflake",
    "сова": "xmas_owl",
    "солнцезащитные очки": "sunglasses",
    "сон": "tux-zzz",
    "спутник": "moon_satellite",
    "стражник": "guard-tux",
    "стрела": "tux-arrow",
    "стрелы": "tux-arrows",
    "сфинкс": "egypt_sphynx",
    "сыр": "pizzeria_cheese",
    "тарелка": "tux-plate",
    "туннель": "tv_tunnel",
    "тягач": "tv_lorry_tractor",
    "удивление": "tux-wow",
    "ухо": "ear",
    "черепаха": "xmas_turtle",
    "шериф": "sherif-tux",
    "школа": "tv_school",
    "шлагбаум": "tv_barrier",
    "эвакуатор": "tv_breakdown_lorry",
    "экскаватор": "tv_excavator",
    "юбка": "skirt",
    "яблоко": "tux-apple",
}


def read_toys(paths: DataPaths) -> list[Clip]:
    """Reads the listed recordings.

    Args:
        paths: the data folder, after `fetch`.

    Returns:
        One clip per recording that is there and about as long as its words; its voice is toys-woman or toys-man.
    """
    root = paths.packages / "usr/share/ktuberling/sounds/ru"
    clips: list[Clip] = []
    for text, names in SPOKEN.items():
        for name in names.split():
            path = root / f"{name}.ogg"
            samples = read_recording(path) if path.exists() else None
            if samples is not None and fits(text, samples):
                clips.append(Clip(name, "toys-woman" if _WOMAN.match(name) else "toys-man", text, samples))
    return sorted(clips, key=lambda clip: clip.name)
