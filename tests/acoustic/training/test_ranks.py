import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from tritone_acoustic.data.audio import Clip, write_set
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.pool import PoolWriter
from tritone_acoustic.export import export_checkpoint
from tritone_acoustic.model_file import ModelCard
from tritone_acoustic.network import AcousticModel
from tritone_acoustic.training.checkpoints import read_weights, save_compact
from tritone_acoustic.training.ranks import Ranks
from tritone_acoustic.training.recipe import model_config

pytestmark = pytest.mark.unit
_TEXTS = ("да", "нет нет", "алло")


def _card(labels):
    return ModelCard(name="tiny", version="1", description="", language="ru", license="", labels=labels)


@pytest.fixture
def data(tmp_path):
    """A data folder without voices: no worker is started, and the pool is filled by hand."""
    rng = np.random.default_rng(0)
    clips = [Clip(str(k), "x", text, rng.integers(-3000, 3000, 7000).astype(np.int16)) for k, text in enumerate(_TEXTS)]
    root = tmp_path / "data"
    for name in ("festvox_train", "synthetic_dev", "festvox_dev"):
        write_set(clips, root / "sets" / name)
    (root / "texts").mkdir()
    (root / "texts" / "train.tsv").write_text("calls\tда\n")
    (root / "voices").mkdir()
    with PoolWriter(tmp_path / "pool", 0) as pool:
        for clip in clips:
            pool.append("Anna", clip.text, clip.samples)
    return root


def test_two_ranks_train_one_model(data, tmp_path):
    command = [sys.executable, "-m", "tritone_acoustic.training", "--debug", "train", "--recipe", "tiny"]
    command += ["--run", str(tmp_path / "run"), "--data", str(data), "--pool", str(tmp_path / "pool")]
    command += ["--device", "cpu", "--gpus", "2", "--workers", "0", "--first-hours", "0", "--max-steps", "4"]
    command += ["--capacity-hours", "0.1"]
    result = subprocess.run(
        [*command, "--minutes", "2"],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    entries = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert entries[-1]["step"] == 4  # one process wrote, once
    assert len([entry for entry in entries if "synthetic_dev_wer" in entry]) == 1
    assert (tmp_path / "run" / "done").exists()


def test_gradients_live_in_one_tensor_only_among_several(tmp_path):
    ranks = Ranks(1, tmp_path, "cpu")
    layer = torch.nn.Linear(3, 2)
    ranks.attach(layer)
    assert layer.weight.grad is None
    assert ranks.first
    assert ranks.agreed(2.5) == ranks.mean(2.5) == 2.5


def test_more_ranks_than_gpus_is_a_user_error(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(TrainingDataError, match="2 GPUs asked for, 1 found"):
        Ranks(2, tmp_path, "cuda")


def test_an_exported_model_is_a_place_to_start(tmp_path):

    torch.manual_seed(0)
    model = AcousticModel(model_config("tiny"))
    model.eval()
    save_compact(model.config, model.state_dict(), tmp_path / "m.safetensors", {})
    export_checkpoint(tmp_path / "m.safetensors", tmp_path / "out", card=_card, precision="fp16")
    config, weights = read_weights(tmp_path / "out" / "model.onnx")
    expected = read_weights(tmp_path / "m.safetensors")[1]
    assert config == model.config
    assert {name for name in expected if "num_batches" not in name} == set(weights)
    for name, value in weights.items():
        torch.testing.assert_close(value, expected[name], atol=1e-3, rtol=1e-3)
