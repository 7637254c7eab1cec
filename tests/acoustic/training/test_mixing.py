"""Weights half-way between two models, and the push towards writing earlier."""

import pytest
import torch
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.network import AcousticModel
from tritone_acoustic.training.checkpoints import load_compact, mix, save_compact
from tritone_acoustic.training.learner import push_earlier
from tritone_acoustic.training.recipe import MODELS, model_config


def test_mixed_weights_are_between_the_two(tmp_path):
    models = [AcousticModel(model_config("tiny")) for _ in range(2)]
    for name, model in zip("ab", models, strict=True):
        save_compact(model.config, model.state_dict(), tmp_path / f"{name}.safetensors", {})
    mix(tmp_path / "a.safetensors", tmp_path / "b.safetensors", 0.25, tmp_path / "m.safetensors")
    mixed = load_compact(tmp_path / "m.safetensors").state_dict()
    first, second = (model.state_dict() for model in models)
    for name, value in mixed.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * first[name] + 0.25 * second[name], atol=2e-3, rtol=0)


def test_different_architectures_have_no_mean(tmp_path, monkeypatch):
    small = AcousticModel(model_config("tiny"))
    monkeypatch.setitem(MODELS, "tiny", {**MODELS["tiny"], "d_model": 64})
    large = AcousticModel(model_config("tiny"))
    for name, model in (("a", small), ("b", large)):
        save_compact(model.config, model.state_dict(), tmp_path / f"{name}.safetensors", {})
    with pytest.raises(TrainingDataError, match="different architectures"):
        mix(tmp_path / "a.safetensors", tmp_path / "b.safetensors", 0.5, tmp_path / "m.safetensors")


def test_the_push_moves_a_letter_to_an_earlier_frame():
    scores = torch.zeros(1, 8, 3)
    scores[:, :, 2] = 3.0
    scores[:, 5, 0] = 6.0
    scores.requires_grad_(True)
    push_earlier(scores.log_softmax(2)).backward()
    assert scores.grad is not None
    assert scores.grad[0, 4, 0] < -0.5  # following the gradient down makes the letter likelier a frame before
    assert scores.grad[0, 5, 0] > 0.5
