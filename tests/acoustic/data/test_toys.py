import numpy as np
import pytest
import soundfile
from tritone_acoustic.data import bundle
from tritone_acoustic.data.normalize import normalize
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.toys import SPOKEN, read_toys

pytestmark = pytest.mark.unit


def _recording(root, name, seconds, loudness=0.1):
    noise = np.random.default_rng(1).normal(0, loudness, (int(44100 * seconds), 2))
    root.mkdir(parents=True, exist_ok=True)
    soundfile.write(root / f"{name}.ogg", noise, 44100, format="OGG", subtype="VORBIS")


def test_captions_are_normalised_and_every_recording_has_one():
    names = [name for spoken in SPOKEN.values() for name in spoken.split()]
    assert all(normalize(text) == text for text in SPOKEN)
    assert len(names) == len(set(names)) > 100


def test_listed_recordings_are_read_by_name_with_their_speaker(tmp_path):
    paths = DataPaths(tmp_path)
    root = paths.packages / "usr/share/ktuberling/sounds/ru"
    for name in ("tux-guitar", "tv_guitar", "kid-tux", "xmas_tux", "bow", "egypt_man", "pizzeria_onion"):
        _recording(root, name, 0.95)
    _recording(root, "moon_earth", 4.0)
    _recording(root, "nose", 0.6, loudness=0)
    assert [(clip.name, clip.text, clip.voice) for clip in read_toys(paths)] == [
        ("bow", "лук", "toys-man"),
        ("egypt_man", "мужчина", "toys-man"),
        ("kid-tux", "ребёнок", "toys-woman"),
        ("tux-guitar", "гитара", "toys-woman"),
        ("tv_guitar", "гитара", "toys-woman"),
        ("xmas_tux", "новогодний костюм", "toys-woman"),
    ]


def test_toys_never_travel_to_a_training_machine():
    assert not [name for name in bundle._TRAVELLING_SETS if "toys" in name]
