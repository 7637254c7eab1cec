"""Decides what a batch says: which utterances stand where in which row, and the CTC targets.

Pure bookkeeping on the CPU; the audio is put together in `tritone_acoustic.data.render`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tritone_acoustic.data.normalize import encode
from tritone_acoustic.data.render import Plan
from tritone_acoustic.training.recipe import Bucket, Recipe
from tritone_acoustic.training.store import AudioStore

_SPACE = encode(" ")[0]
_TRIES = 6
_CHUNK, _FRAME = 2400, 240
_NEVER = 2**40  # start of an unused place: later than any sample


@dataclass(frozen=True)
class Batch:
    """One composed batch.

    Attributes:
        plan: where the utterances stand.
        targets: int64 [sum of target_lengths], class numbers of all rows joined.
        target_lengths: int64 [B].
        frames: int64 [B], output frames in which the row's text must have been written.
        silent_from: int64 [B], sample from which the row is digital silence.
        samples: length of a row.
        speech_seconds: seconds of utterances in it.
    """

    plan: Plan
    targets: Tensor
    target_lengths: Tensor
    frames: Tensor
    silent_from: Tensor
    samples: int
    speech_seconds: float


class Composer:
    """Draws batches from a store.

    Args:
        store: the utterances.
        recipe: proportions.
        seed: of the draws.
    """

    def __init__(self, store: AudioStore, recipe: Recipe, seed: int) -> None:
        self._store = store
        self._recipe = recipe
        self.rng = np.random.default_rng(seed)

    def _kind(self) -> tuple[list[int], tuple[float, float]]:
        """Draws where the next utterance comes from, and the speeds at which such are played."""
        store, recipe = self._store, self._recipe
        draw = self.rng.random()
        for numbers, share in (
            (store.recorded, recipe.recorded),
            (store.foreign, recipe.foreign),
            (store.neural, recipe.neural),
        ):
            if numbers:
                if draw < share:
                    return numbers, recipe.recorded_speed
                draw -= share
        return (store.synthesised, recipe.speed) if store.synthesised else (store.recorded, recipe.recorded_speed)

    def _draw(self, room: float) -> tuple[int, float] | None:
        """Draws an utterance and a speed such that it takes at most `room` samples."""
        rng = self.rng
        for _ in range(_TRIES):
            numbers, speeds = self._kind()
            number = numbers[int(rng.integers(len(numbers)))]
            speed = float(rng.uniform(*speeds))
            if self._store.lengths[number] / speed < room:
                return number, speed
        return None

    def _pause(self) -> int:
        """Draws a pause in samples: mostly below a second, sometimes hardly any, sometimes long."""
        kind = self.rng.random()
        if kind < 0.15:
            seconds = self.rng.uniform(0.02, 0.2)
        elif kind < 0.9:
            seconds = self.rng.uniform(0.2, 1.2)
        else:
            seconds = self.rng.uniform(1.2, 3.0)
        return int(seconds * 8000)

    def batch(self, bucket: Bucket) -> Batch:
        """Composes one batch.

        Args:
            bucket: its shape.

        Returns:
            The plan and the targets, on the CPU.
        """
        store, recipe, rng = self._store, self._recipe, self.rng
        shape = (bucket.rows, bucket.utterances)
        offset = np.zeros(shape, dtype=np.int64)
        length = np.zeros(shape, dtype=np.int64)
        start = np.full(shape, _NEVER, dtype=np.int64)
        speed = np.ones(shape, dtype=np.float32)
        gain = np.zeros(shape, dtype=np.float32)
        targets: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
        target_lengths = np.zeros(bucket.rows, dtype=np.int64)
        frames = np.full(bucket.rows, bucket.samples // _FRAME, dtype=np.int64)
        silent_from = np.full(bucket.rows, bucket.samples - recipe.pad, dtype=np.int64)
        speech = 0.0
        for row in range(bucket.rows):
            if rng.random() < recipe.silence:
                continue
            time = recipe.pad + int(rng.uniform(0.0, 0.4) * 8000)
            level, end = rng.uniform(-3.0, 3.0), 0
            for place in range(bucket.utterances):
                drawn = self._draw(bucket.samples - recipe.pad - time)
                if drawn is None:
                    break
                number, factor = drawn
                if place:
                    targets.append(np.array([_SPACE], dtype=np.int64))
                    target_lengths[row] += 1
                label = store.labels[number].astype(np.int64)
                targets.append(label)
                target_lengths[row] += len(label)
                offset[row, place], length[row, place] = store.offsets[number], store.lengths[number]
                start[row, place], speed[row, place] = time, factor
                gain[row, place] = store.scales[number] * 10 ** ((level + rng.uniform(-3.0, 3.0)) / 20)
                taken = int(store.lengths[number] / factor)
                speech += taken / 8000
                end = time + taken
                time = end + self._pause()
            if end:
                # At its end a stream is fed one chunk of zeros: by then everything must be written, or the
                # network would learn to write as late as the rest of the row allows.
                frames[row] = -(-(end + recipe.pad) // _CHUNK) * (_CHUNK // _FRAME)
                if rng.random() < 0.6:
                    silent_from[row] = end + int(rng.uniform(0.0, 0.3) * 8000)
        joined = np.concatenate(targets) if targets else np.zeros(0, dtype=np.int64)
        return Batch(
            Plan(*(torch.from_numpy(part) for part in (offset, length, start, speed, gain))),
            torch.from_numpy(joined),
            torch.from_numpy(target_lengths),
            torch.from_numpy(frames),
            torch.from_numpy(silent_from),
            bucket.samples,
            speech,
        )
