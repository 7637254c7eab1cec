"""All training audio in one tensor on the training device, fed from the synthesis pool.

Choosing utterances is in `compose`; the files of the pool are in `tritone_acoustic.data.pool`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tritone_acoustic.data.audio import SAMPLE_RATE, Clip, read_set
from tritone_acoustic.data.breaths import phrases
from tritone_acoustic.data.normalize import encode
from tritone_acoustic.data.pool import PoolReader

FRAME = 240
# The fastest playback shortens an utterance by this much; CTC still needs a frame per letter.
_SHORTEST = 0.8


def frames_needed(classes: NDArray[np.uint8]) -> int:
    """Counts the frames that CTC needs: one per letter and a blank between equal neighbours.

    Args:
        classes: uint8 [S], class numbers.

    Returns:
        The number of frames.
    """
    return len(classes) + int((classes[1:] == classes[:-1]).sum())


class AudioStore:
    """Utterances on the device: int16 samples in one tensor, transcripts beside it.

    Args:
        capacity_hours: size of the tensor; utterances beyond it are left out.
        device: where it lives.
    """

    def __init__(self, capacity_hours: float, device: torch.device) -> None:
        capacity = int(capacity_hours * 3600 * SAMPLE_RATE)
        self.samples = torch.zeros(capacity, dtype=torch.int16, device=device)
        self.used = 0
        self.offsets: list[int] = []
        self.lengths: list[int] = []
        self.labels: list[NDArray[np.uint8]] = []
        self.scales: list[float] = []
        self.recorded: list[int] = []
        self.foreign: list[int] = []
        self.neural: list[int] = []
        self.synthesised: list[int] = []

    @property
    def hours(self) -> float:
        """Hours of audio stored."""
        return self.used / SAMPLE_RATE / 3600

    @property
    def full(self) -> bool:
        """Whether less than a minute fits."""
        return self.used + 60 * SAMPLE_RATE > len(self.samples)

    def _add(
        self,
        samples: NDArray[np.int16],
        offsets: list[int],
        lengths: list[int],
        labels: list[str],
        numbers: list[int],
    ) -> None:
        room = len(self.samples) - self.used
        stored = samples[:room]
        self.samples[self.used : self.used + len(stored)] = torch.from_numpy(stored).to(self.samples.device)
        for offset, length, label in zip(offsets, lengths, labels, strict=True):
            classes = np.array(encode(label), dtype=np.uint8)
            if offset + length > len(stored) or length * _SHORTEST / FRAME < frames_needed(classes) + 2:
                continue
            power = float(np.sqrt(np.mean(np.square(stored[offset : offset + length], dtype=np.float32))))
            if power < 1.0:
                continue
            numbers.append(len(self.offsets))
            self.offsets.append(self.used + offset)
            self.lengths.append(length)
            self.labels.append(classes)
            self.scales.append(0.08 / power)  # every utterance at about -22 dB of full scale
        self.used += len(stored)

    def add_clips(self, clips: list[Clip], numbers: list[int] | None = None) -> None:
        """Adds the utterances of a set.

        Args:
            clips: 8 kHz recordings with transcripts.
            numbers: which of this store's lists takes them (default: `recorded`).
        """
        lengths = [len(clip.samples) for clip in clips]
        offsets = [int(end) - length for end, length in zip(np.cumsum(lengths), lengths, strict=True)]
        joined = np.concatenate([clip.samples for clip in clips])
        self._add(
            joined, offsets, lengths, [clip.text for clip in clips], self.recorded if numbers is None else numbers
        )

    def add_recordings(self, sets: Path) -> None:
        """Adds the training sets: the reader's whole and in phrases, others as they are.

        Args:
            sets: their folder; older bundles lack some.

        Raises:
            TrainingDataError: not even the reader's set is there, or a set is broken.
        """
        reader = read_set(sets / "festvox_train")
        self.add_clips(reader)
        if parts := phrases(reader, sets / "festvox_train.cuts"):
            self.add_clips(parts)
        others = {
            "stamps_train": self.recorded,
            "letters_train": self.recorded,
            "foreign_train": self.foreign,
            "neural_train": self.neural,
        }
        for name, numbers in others.items():
            if (sets / f"{name}.tsv").exists():
                self.add_clips(read_set(sets / name), numbers)

    def follow(self, reader: PoolReader) -> int:
        """Takes over what the synthesis workers have appended.

        Args:
            reader: of their pool.

        Returns:
            How many utterances were added.
        """
        before = len(self.synthesised)
        for block in reader.poll():
            if self.full:
                break
            self._add(block.samples, block.offsets.tolist(), block.lengths.tolist(), block.labels, self.synthesised)
        return len(self.synthesised) - before
