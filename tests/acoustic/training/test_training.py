import copy
import json

import numpy as np
import pytest
import torch
from tritone_acoustic.data.audio import Clip, write_set
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.normalize import encode
from tritone_acoustic.network import AcousticModel
from tritone_acoustic.training.checkpoints import (
    join_parts,
    load_compact,
    load_full,
    save_compact,
    save_full,
    split_file,
)
from tritone_acoustic.training.collect import collect, read_metrics
from tritone_acoustic.training.compose import Composer
from tritone_acoustic.training.evaluate import padded, time_bias, transcribe
from tritone_acoustic.training.fast_front import banded, speed_up
from tritone_acoustic.training.learner import Learner
from tritone_acoustic.training.optimiser import Optimiser, learning_rate
from tritone_acoustic.training.recipe import MODELS, RECIPES, Bucket, model_config
from tritone_acoustic.training.scores import edit_distance, score
from tritone_acoustic.training.spec_augment import SpecMask
from tritone_acoustic.training.store import AudioStore, frames_needed

pytestmark = pytest.mark.unit
_CPU = torch.device("cpu")
_TEXTS = ("да", "нет нет", "ещё раз пожалуйста", "алло")


@pytest.fixture
def store():
    rng = np.random.default_rng(0)
    clips = [
        Clip(str(number), "x", text, rng.integers(-3000, 3000, 6000 + 1500 * number).astype(np.int16))
        for number, text in enumerate(_TEXTS)
    ]
    result = AudioStore(0.02, _CPU)
    result.add_clips(clips)
    return result


def _learner(seed=0):
    return Learner(model_config("tiny"), RECIPES["tiny"], _CPU, seed)


def test_default_model_ships_under_twenty_megabytes(tmp_path):
    model = AcousticModel(model_config("default"))
    save_compact(model.config, model.state_dict(), tmp_path / "m.safetensors", {})
    assert (tmp_path / "m.safetensors").stat().st_size < 20_000_000
    assert set(MODELS) == set(RECIPES)


def test_composed_targets_match_the_plan(store):
    bucket = Bucket(rows=20, samples=48_000, utterances=4, until=1.0)
    recipe = RECIPES["tiny"]
    batch = Composer(store, recipe, 3).batch(bucket)
    place = 0
    for row in range(bucket.rows):
        used = [k for k in range(4) if batch.plan.length[row, k]]
        labels = [store.labels[store.offsets.index(int(batch.plan.offset[row, k]))].tolist() for k in used]
        expected = [value for label in labels for value in [*encode(" "), *label]][1:]
        length = int(batch.target_lengths[row])
        assert batch.targets[place : place + length].tolist() == expected
        place += length
        ends = [int(batch.plan.start[row, k] + batch.plan.length[row, k] / batch.plan.speed[row, k]) for k in used]
        assert all(end <= batch.samples - recipe.pad for end in ends)
        assert all(int(batch.plan.start[row, k]) > end for k, end in zip(used[1:], ends, strict=False))
        if used:
            assert batch.silent_from[row] >= ends[-1]
            limit = int(batch.frames[row]) * 240
            assert ends[-1] + recipe.pad <= limit < ends[-1] + recipe.pad + 2400
            assert int(batch.frames[row]) % 10 == 0
    assert place == len(batch.targets)


def test_store_leaves_out_what_ctc_cannot_align():
    short = Clip("a", "x", "слишком длинный текст", np.full(3000, 500, dtype=np.int16))
    silent = Clip("b", "x", "да", np.zeros(8000, dtype=np.int16))
    result = AudioStore(0.01, _CPU)
    result.add_clips([short, silent])
    assert result.recorded == []
    assert frames_needed(np.array(encode("анна"), dtype=np.uint8)) == 5


def test_utterances_are_drawn_by_their_shares(store):
    recipe = RECIPES["tiny"]
    store.foreign, store.neural, store.recorded = store.recorded[:1], store.recorded[1:2], store.recorded[2:]
    store.synthesised = store.recorded[1:]
    composer = Composer(store, recipe, 2)
    drawn = [composer._kind()[0] for _ in range(8000)]
    assert sum(numbers is store.recorded for numbers in drawn) / 8000 == pytest.approx(recipe.recorded, rel=0.1)
    assert sum(numbers is store.foreign for numbers in drawn) / 8000 == pytest.approx(recipe.foreign, rel=0.2)
    assert sum(numbers is store.neural for numbers in drawn) / 8000 == pytest.approx(recipe.neural, rel=0.15)
    store.foreign, store.neural = [], []
    drawn = [composer._kind()[0] for _ in range(8000)]
    assert sum(numbers is store.recorded for numbers in drawn) / 8000 == pytest.approx(recipe.recorded, rel=0.1)


def test_store_adds_the_recorded_sets_that_are_there(store, tmp_path):
    clips = [Clip("a", "x", "да нет", np.full(9000, 500, dtype=np.int16))]
    write_set(clips, tmp_path / "festvox_train")
    write_set(clips * 3, tmp_path / "foreign_train")
    write_set(clips * 2, tmp_path / "neural_train")
    result = AudioStore(0.01, _CPU)
    result.add_recordings(tmp_path)
    assert (len(result.recorded), len(result.foreign), len(result.neural), result.synthesised) == (1, 3, 2, [])


def test_training_audio_has_silent_ends(store):
    learner = _learner()
    batch = Composer(store, RECIPES["tiny"], 1).batch(RECIPES["tiny"].buckets[1])
    waveform = learner.audio(store.samples, batch)
    assert waveform.isfinite().all()
    assert waveform[:, :2400].abs().max() == 0
    assert waveform[:, -2400:].abs().max() == 0
    assert waveform.abs().max() > 0


def test_resumed_training_equals_uninterrupted_training(store, tmp_path):
    composer = Composer(store, RECIPES["tiny"], 1)
    batches = [composer.batch(RECIPES["tiny"].buckets[0]) for _ in range(4)]
    whole, before, after = _learner(), _learner(), _learner(seed=9)
    torch.manual_seed(5)
    for number, batch in enumerate(batches):
        whole.step(store.samples, batch, number / 4)
    torch.manual_seed(5)
    for number in (0, 1):
        before.step(store.samples, batches[number], number / 4)
    save_full(before.state_dict(), tmp_path / "c.pt")
    torch.manual_seed(77)
    after.load_state_dict(load_full(tmp_path / "c.pt", _CPU))
    for number in (2, 3):
        after.step(store.samples, batches[number], number / 4)
    for (name, one), two in zip(whole.model.state_dict().items(), after.model.state_dict().values(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-5, msg=name)
    for name, value in whole.optimiser.average.items():
        torch.testing.assert_close(value, after.optimiser.average[name], atol=1e-6, rtol=1e-5, msg=name)


def test_steps_lower_the_loss(store):
    learner = _learner()
    batch = Composer(store, RECIPES["tiny"], 1).batch(RECIPES["tiny"].buckets[0])
    losses = [float(learner.step(store.samples, batch, 0.0)[0]) for _ in range(25)]
    assert losses[-1] < 0.7 * losses[0]


def test_preparing_a_shape_changes_neither_weights_nor_statistics():
    learner = _learner()
    before = copy.deepcopy(learner.model.state_dict())
    learner.prepare(RECIPES["tiny"].buckets[0])
    for name, value in learner.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None or not p.grad.any() for p in learner.model.parameters())


def test_fast_front_equals_the_network():
    torch.manual_seed(0)
    plain = AcousticModel(model_config("tiny")).train()
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    fast = copy.deepcopy(plain)
    speed_up(fast)
    waveform, lengths = torch.randn(2, 12_000) * 0.1, torch.full((2,), 12_000)
    one, two = plain(waveform, lengths)[0], fast(waveform, lengths)[0]
    torch.testing.assert_close(one, two, atol=2e-4, rtol=0)
    weight = torch.randn_like(one)
    (one * weight).sum().backward()
    (two * weight).sum().backward()
    skipped = {"conv.0.0.bias", "conv.1.0.bias", "depthwise_conv.conv.bias"}  # in front of a batch norm: noise
    for (name, expected), actual in zip(plain.named_parameters(), fast.parameters(), strict=True):
        if not any(name.endswith(end) for end in skipped):
            scale = float(expected.grad.abs().max()) + 1e-3
            assert float((expected.grad - actual.grad).abs().max()) < 2e-3 * scale, name
    for (name, expected), actual in zip(plain.state_dict().items(), fast.state_dict().values(), strict=True):
        torch.testing.assert_close(expected.float(), actual.float(), atol=1e-4, rtol=1e-4, msg=name)


def test_banded_matrix_is_the_convolution():
    x, weight = torch.randn(2, 3, 4, 20), torch.randn(5, 3, 4, 7)
    expected = torch.nn.functional.conv2d(x, weight).flatten(1)
    rows = x.permute(0, 2, 1, 3).flatten(1)
    torch.testing.assert_close(rows @ banded(weight, 20), expected, atol=1e-4, rtol=1e-4)


def test_a_broken_gradient_changes_nothing():
    model = torch.nn.Linear(4, 4)
    optimiser = Optimiser(model, RECIPES["tiny"])
    model(torch.ones(1, 4)).sum().backward()
    optimiser.step(0.0)
    before = copy.deepcopy(model.state_dict())
    model.weight.grad.fill_(float("nan"))
    optimiser.step(0.0)
    assert int(optimiser.skipped) == 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_clipping_bounds_the_step():
    model = torch.nn.Linear(4, 1, bias=False)
    optimiser = Optimiser(model, RECIPES["tiny"])
    (model(torch.full((1, 4), 1e4))).sum().backward()
    norm = optimiser.step(0.0)
    moment = optimiser.adam.state[model.weight]["exp_avg"]
    assert float(norm) == pytest.approx(2e4)
    expected = RECIPES["tiny"].clip_norm * (1 - RECIPES["tiny"].betas[0])
    assert float(moment.norm()) == pytest.approx(expected, rel=1e-3)


def test_learning_rate_rises_and_falls():
    recipe = RECIPES["default"]
    assert learning_rate(recipe, 0, 0.0) < recipe.peak_rate / 100
    assert learning_rate(recipe, recipe.warmup_steps, 0.0) == pytest.approx(recipe.peak_rate)
    assert learning_rate(recipe, 10_000, 1.0) == pytest.approx(recipe.peak_rate * recipe.final_rate)


def test_spec_mask_hides_some_and_keeps_the_rest():
    mel = torch.randn(4, 200, 64)
    masked = SpecMask((5, 30), (2, 12))(mel, torch.full((4,), 200))
    changed = (masked != mel).float().mean()
    assert masked.shape == mel.shape
    assert 0.02 < changed < 0.7


def test_compact_checkpoint_survives_split_and_join(tmp_path):
    model = AcousticModel(model_config("tiny")).eval()
    path = tmp_path / "model_ema.safetensors"
    save_compact(model.config, model.state_dict(), path, {"step": "3"})
    (tmp_path / "parts").mkdir()
    parts = split_file(path, tmp_path / "parts", part_bytes=50_000)
    assert len(parts) > 2
    assert all(part.stat().st_size <= 50_000 for part in parts)
    join_parts(tmp_path / "parts", tmp_path / "joined" / path.name)
    assert (tmp_path / "joined" / path.name).read_bytes() == path.read_bytes()
    back = load_compact(tmp_path / "joined" / path.name)
    assert back.config == model.config
    waveform, lengths = torch.randn(1, 4800) * 0.1, torch.tensor([4800])
    with torch.no_grad():
        torch.testing.assert_close(back(waveform, lengths)[0], model(waveform, lengths)[0], atol=0.02, rtol=0)
    parts[1].unlink()
    with pytest.raises(TrainingDataError, match="missing"):
        join_parts(tmp_path / "parts", tmp_path / "joined" / path.name)


def test_compact_checkpoint_is_readable_by_the_exporter(tmp_path):
    from tritone_acoustic.checkpoint import read_checkpoint

    model = AcousticModel(model_config("tiny"))
    save_compact(model.config, model.state_dict(), tmp_path / "m.safetensors", {})
    checkpoint = read_checkpoint(tmp_path / "m.safetensors")
    assert checkpoint.settings == model.config.to_dict()
    assert set(checkpoint.weights) == set(model.state_dict())


def test_an_unreadable_checkpoint_is_a_user_error(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(TrainingDataError, match="cannot read"):
        load_compact(tmp_path / "bad.safetensors")


def test_scores():
    assert edit_distance("кот", "кит") == 1
    assert edit_distance([], ["a", "b"]) == 2
    result = score(["ещё раз", "да"], ["еще раз", "да нет"])
    assert (result.wer, result.wer_yo) == (33.33, 66.67)


def test_clips_are_padded_to_whole_chunks():
    row = padded(np.full(2401, 32767, dtype=np.int16))
    assert len(row) == 9600
    assert row[:2400].max() == 0
    assert row[2400] == pytest.approx(1.0)
    assert row[-4000:].max() == 0


def test_batched_transcription_equals_one_by_one():
    model = AcousticModel(model_config("tiny")).eval()
    rng = np.random.default_rng(1)
    clips = [Clip("", "", "", rng.integers(-9000, 9000, size).astype(np.int16)) for size in (3000, 9000, 5000)]
    together, best = transcribe(model, clips)
    assert together == [transcribe(model, [clip])[0][0] for clip in clips]
    assert [len(classes) for classes in best] == [40, 60, 50]


def test_time_bias_measures_the_lag_of_the_text():
    samples = np.zeros(8000, dtype=np.int16)
    samples[2400:4800] = 1000
    classes = torch.full((53,), 34)
    classes[30], classes[39] = 0, 1  # letters written 0.3 s after start (0.3 s) and end (0.6 s) of the sound
    assert time_bias([Clip("", "", "", samples)], [classes]) == pytest.approx(0.3, abs=0.02)


def test_collect_gathers_a_run(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    model = AcousticModel(model_config("tiny"))
    save_compact(model.config, model.state_dict(), run / "model_ema.safetensors", {})
    entry = {"step": 5, "loss": 1.0, "heard_hours": 0.1, "synthetic_dev_wer": 50.0, "festvox_dev_wer": 60.0}
    (run / "metrics.jsonl").write_text(json.dumps(entry) + "\n" + '{"step": 6, "lo')
    assert read_metrics(run) == [entry]
    collect(run, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"model_ema.safetensors.part0", "metrics.jsonl", "summary.json"} <= names
    assert json.loads((tmp_path / "out/summary.json").read_text())["checks"] == [entry]
    with pytest.raises(TrainingDataError, match="started"):
        read_metrics(tmp_path)
