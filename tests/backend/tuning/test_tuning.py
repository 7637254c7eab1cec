"""Scores, the confidence fit, phone labels and the tables in model.toml."""

import numpy as np
import pytest
from tritone_backend.tuning.cli import replace_tables
from tritone_backend.tuning.labels import word_times
from tritone_backend.tuning.scoring import calibration_error, errors, fit_logistic, matches

pytestmark = pytest.mark.unit


def test_errors_and_matches():
    assert errors(["а", "б", "в"], ["а", "в", "г"]) == 2
    assert errors([], ["а"]) == 1
    assert matches(["а", "б", "в", "г"], ["а", "в", "г", "д"]) == [0, 2, 3, -1]
    assert matches([], ["а"]) == [-1]


def test_the_fit_finds_the_truth_and_never_falls():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 2))
    right = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 + 1.5 * x[:, 0] - 0.7 * x[:, 1])))
    bias, first, second = fit_logistic(x, right)
    assert second == 0
    assert first > 1.2
    p = 1 / (1 + np.exp(-(bias + first * x[:, 0])))
    assert calibration_error(p, right) < 0.02
    assert calibration_error(np.full(20_000, 0.99), right) > 0.3


def test_words_of_phone_labels(tmp_path):
    phones = [("pau", 0.1), ("v", 0.2), ("pau", 0.3), ("ee", 0.4), ("j", 0.45), ("oo", 0.6), ("m", 0.7), ("pau", 1.0)]
    lab = tmp_path / "x.lab"
    lab.write_text("#\n" + "".join(f"{end} 125 {name}\n" for name, end in phones))
    assert word_times(lab, "в её м") == [(0.1, 0.2), (0.3, 0.6), (0.6, 0.7)]
    assert word_times(lab, "совсем другие слова") is None


def test_tables_are_replaced_and_all_else_stays(tmp_path):
    path = tmp_path / "model.toml"
    path.write_text('name = "x"\n\n[timing]\nword_start_shift = 1.0\n\n[files]\nonnx = "m"\n')
    for _ in range(2):
        replace_tables(path, {"timing": {"word_start_shift": -0.1}, "decoding": {"language_model": "lm.bin"}})
    assert path.read_text() == (
        'name = "x"\n\n[files]\nonnx = "m"\n\n[timing]\nword_start_shift = -0.1\n'
        '\n[decoding]\nlanguage_model = "lm.bin"\n'
    )
