"""The training run: synthesis, steps against the clock, measurements, checkpoints.

One step is in `learner`; this module decides when what happens and writes the files of a run.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tritone_acoustic.config import AcousticConfig
from tritone_acoustic.data.audio import Clip, read_set
from tritone_acoustic.data.console import say
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.pool import PoolReader
from tritone_acoustic.data.workers import Workers
from tritone_acoustic.training.checkpoints import load_full, read_weights, save_compact, save_full
from tritone_acoustic.training.compose import Composer
from tritone_acoustic.training.evaluate import time_bias, transcribe
from tritone_acoustic.training.learner import Learner
from tritone_acoustic.training.ranks import Ranks, own_rank
from tritone_acoustic.training.recipe import RECIPES, Bucket, model_config
from tritone_acoustic.training.scores import score

FULL = "checkpoint.pt"
COMPACT = "model_ema.safetensors"
METRICS = "metrics.jsonl"
DONE = "done"
# Steps between agreements on the time, when several processes train together: they must decide alike.
_AGREE_EVERY = 16


@dataclass(frozen=True)
class RunOptions:
    """What the command line decides.

    Attributes:
        run: folder of the run's files.
        data: the data folder.
        pool: folder of the synthesis pool.
        name: recipe and architecture.
        minutes: wall-clock budget from the start of the process.
        workers: synthesis processes.
        first_hours: synthesised hours to wait for before the first step.
        capacity_hours: largest store.
        device: "cuda" or "cpu".
        capture: record CUDA graphs.
        gpus: GPUs that train together, one process each.
        init: compact checkpoint or exported model.onnx to start from, or None.
        progress: with `init`, the place in the schedule to start at.
        max_steps: stop after so many steps (0: only the clock counts).
        check_seconds: time between measurements.
        seed: of everything.
    """

    run: Path
    data: Path
    pool: Path
    name: str = "default"
    minutes: float = 14.0
    workers: int = 14
    first_hours: float = 2.0
    capacity_hours: float = 200.0
    device: str = "cuda"
    capture: bool = False
    gpus: int = 1
    init: Path | None = None
    progress: float = 0.0
    max_steps: int = 0
    check_seconds: float = 90.0
    seed: int = 1


class Run:
    """One training run; goes on from its folder's checkpoint if there is one.

    Args:
        options: what the command line decides.
    """

    def __init__(self, options: RunOptions) -> None:
        self._begin = time.monotonic()
        self._options = options
        self._recipe = RECIPES[options.name]
        options.run.mkdir(parents=True, exist_ok=True)
        paths = DataPaths(options.data)
        if not (paths.texts / "train.tsv").exists() or not paths.voices.is_dir():
            raise TrainingDataError(f"no texts or voices in {options.data}: run `data fetch`, `texts` and `bundle`")
        # Workers are started first: they fill the pool while the device warms up. One rank's workers serve all.
        self._workers = Workers(
            options.workers if own_rank() == 0 else 0,
            options.pool,
            paths.voices,
            paths.texts,
            options.seed,
            options.run / "workers.log",
        )
        try:
            self._ranks = Ranks(options.gpus, options.run, options.device)
            if self._ranks.first:
                (options.run / DONE).unlink(missing_ok=True)
                say(f"{options.workers} synthesis workers started")
            self._prepare(paths)
        except BaseException:
            self._workers.stop()
            raise

    def _prepare(self, paths: DataPaths) -> None:
        from tritone_acoustic.training.store import AudioStore

        options = self._options
        self._device = self._ranks.device
        if options.device == "cuda":
            torch.backends.cudnn.benchmark = True
        self._store = AudioStore(options.capacity_hours, self._device)
        self._store.add_recordings(paths.sets)
        self._sets: dict[str, list[Clip]] = {
            name: read_set(paths.sets / name) for name in ("synthetic_dev", "festvox_dev")
        }
        config: AcousticConfig = model_config(options.name)
        weights = None
        if options.init:
            config, weights = read_weights(options.init)
        self._learner = Learner(config, self._recipe, self._device, options.seed, options.capture, self._ranks)
        parameters = sum(parameter.numel() for parameter in self._learner.model.parameters())
        say(f"model {options.name}: {parameters / 1e6:.2f} M parameters, on {self._device}")
        for bucket in self._recipe.buckets:
            self._learner.prepare(bucket)
        seed = options.seed + 1000 * self._ranks.rank
        self._composer = Composer(self._store, self._recipe, seed)
        self._reader = PoolReader(options.pool)
        self._progress = 0.0
        self._heard = 0.0
        self._best = math.inf
        full = options.run / FULL
        if full.exists():
            state = load_full(full, self._device)
            self._learner.load_state_dict(state["learner"])
            self._progress, self._heard = state["progress"], state["heard_hours"]
            # Another stream of draws than before the interruption: nothing is heard twice in the same way.
            self._composer = Composer(self._store, self._recipe, seed + state["learner"]["optimiser"]["step"])
            say(f"going on from {full}: step {self._learner.optimiser.step_count}, {self._progress:.0%} done")
        elif weights is not None:
            self._learner.load_weights(weights)
            self._progress = options.progress
            say(f"starting from the weights of {options.init}")

    def _bucket(self) -> Bucket:
        return next(
            bucket
            for bucket in self._recipe.buckets
            if self._progress < bucket.until or bucket is self._recipe.buckets[-1]
        )

    def _wait_for_audio(self) -> None:
        shown, recorded = 0.0, self._store.hours
        while self._store.hours < recorded + self._options.first_hours or not self._store.synthesised:
            self._store.follow(self._reader)
            self._workers.check()
            if time.monotonic() - shown > 5:
                shown = time.monotonic()
                say(f"{self._store.hours:.2f} h of audio, {self._workers.alive} workers")
            if self._store.full:
                raise TrainingDataError("the recordings alone fill the store: raise --capacity-hours")
            if time.monotonic() - self._begin > self._options.minutes * 60:
                raise TrainingDataError(f"no audio was synthesised: see {self._options.run}/workers.log")
            time.sleep(0.2)

    def _show(self, entry: dict[str, Any]) -> None:
        if self._ranks.first:
            say("  ".join(f"{key} {value}" for key, value in entry.items() if key != "seconds"))

    def _record(self, entry: dict[str, Any]) -> None:
        if not self._ranks.first:
            return
        with (self._options.run / METRICS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def _check(self, entry: dict[str, Any]) -> None:
        """Measures the averaged model on the development sets and writes the compact checkpoint (rank 0)."""
        if not self._ranks.first:
            return
        model = self._learner.averaged_model()
        for name, clips in self._sets.items():
            texts, best = transcribe(model, clips)
            value = score([clip.text for clip in clips], texts)
            if name == "synthetic_dev":
                entry["time_bias"] = time_bias(clips, best)
            entry[f"{name}_wer"], entry[f"{name}_cer"] = value.wer, value.cer
        self._record(entry)
        say("  ".join(f"{key} {value}" for key, value in entry.items() if key.endswith(("wer", "cer", "bias"))))
        notes = {"step": str(entry["step"]), "heard_hours": str(entry["heard_hours"])}
        save_compact(self._learner.config, model.state_dict(), self._options.run / COMPACT, notes)

    def _save(self) -> None:
        if not self._ranks.first:
            return
        state = {"learner": self._learner.state_dict(), "progress": self._progress, "heard_hours": self._heard}
        save_full(state, self._options.run / FULL)

    def train(self) -> None:
        """Trains until the budget is spent, then measures, saves and ends the workers."""
        failed = True
        try:
            self._wait_for_audio()
            self._loop()
            failed = False
        finally:
            self._workers.stop()
            self._ranks.leave(failed)
        if self._ranks.first:
            (self._options.run / DONE).touch()

    def _loop(self) -> None:
        options, learner = self._options, self._learner
        ranks = self._ranks
        start, deadline = ranks.agreed(time.monotonic()), ranks.agreed(self._begin + options.minutes * 60)
        now, from_progress = start, self._progress
        saved = checked = followed = shown = start
        shown_step, first_step = learner.optimiser.step_count, learner.optimiser.step_count
        losses: list[torch.Tensor] = []
        norms: list[torch.Tensor] = []
        say(f"first step with {self._store.hours:.2f} h, {deadline - start:.0f} s left")
        while True:
            if ranks.size == 1 or learner.optimiser.step_count % _AGREE_EVERY == 0:
                now = ranks.agreed(time.monotonic())
            share = (now - start) / max(deadline - start, 1e-6)
            self._progress = min(1.0, from_progress + (1.0 - from_progress) * share)
            steps = learner.optimiser.step_count
            finished = self._progress >= 1.0 or (options.max_steps and steps - first_step >= options.max_steps)
            if losses and (now - shown > 5 or finished):
                # Reading a value waits for the device: from here on the clock and the step count agree.
                loss = ranks.mean(float(torch.stack(losses).mean()))
                now = ranks.agreed(time.monotonic())
                entry = {
                    "seconds": round(now - self._begin, 1),
                    "step": steps,
                    "loss": round(loss, 4),
                    "gradient_norm": round(float(torch.stack(norms).mean()), 3),
                    "skipped": int(learner.optimiser.skipped),
                    "rate": round(learner.optimiser.rate, 7),
                    "steps_per_second": round((steps - shown_step) / (now - shown), 2),
                    "heard_hours": round(self._heard, 2),
                    "unique_hours": round(self._store.hours, 2),
                }
                self._show(entry)
                losses.clear()
                norms.clear()
                if self._diverged(loss) and not finished:
                    shown, shown_step = ranks.agreed(time.monotonic()), learner.optimiser.step_count
                    continue
                shown_step = steps
                if now - checked > options.check_seconds or finished:
                    self._check(entry)
                    late = ranks.agreed(entry.get("time_bias", 0.0)) > self._recipe.early_until
                    learner.early = self._recipe.early if late else 0.0
                    checked = ranks.agreed(time.monotonic())
                else:
                    self._record(entry)
                if now - saved > 60 or finished:
                    self._save()
                    saved = ranks.agreed(time.monotonic())
                shown = ranks.agreed(time.monotonic())
            if finished:
                return
            if now - followed > 2 and not self._store.full:
                self._store.follow(self._reader)
                self._workers.check()
                followed = now
            batch = self._composer.batch(self._bucket())
            loss_value, norm = learner.step(self._store.samples, batch, self._progress)
            losses.append(loss_value)
            norms.append(norm)
            self._heard += batch.speech_seconds / 3600
            if len(losses) % 16 == 0 and self._device.type == "cuda":
                torch.cuda.current_stream().synchronize()  # keep the host at most 16 steps ahead of the device

    def _diverged(self, loss: float) -> bool:
        """Goes back to the last checkpoint with half the learning rate if the loss has run away."""
        full = self._options.run / FULL
        if math.isfinite(loss) and loss < 1.5 * self._best + 1.0:
            self._best = min(self._best, loss)
            return False
        if not full.exists():
            return False
        say(f"loss {loss:.3f} after {self._best:.3f}: back to the last checkpoint, half the learning rate")
        self._learner.load_state_dict(load_full(full, self._device)["learner"])
        self._learner.optimiser.soften()
        self._best = math.inf
        return True
