"""Development sets and what the network says of them. A set is NAME.flac with NAME.tsv: name, voice, samples, text."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritone_backend.audio import AudioBuffer
from tritone_backend.engines.base import Engine
from tritone_backend.errors import BackendError

BATCH = 32


@dataclass(frozen=True)
class Clip:
    """One utterance with its log-probs.

    Attributes:
        name: what its set calls it.
        text: what is said, in the model's letters.
        logprobs: float32 [frames, classes], the stream's frames from the first on.
    """

    name: str
    text: str
    logprobs: NDArray[np.float32]


def read_clips(stem: Path, engine: Engine) -> list[Clip]:
    """Run a set through an engine, each clip as a stream of its own.

    Raises:
        BackendError: the set is missing or broken.
    """
    import soundfile

    spec = engine.spec
    try:
        samples, rate = soundfile.read(f"{stem}.flac", dtype="int16")
        with Path(f"{stem}.tsv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream, delimiter="\t"))
    except (OSError, soundfile.SoundFileError) as error:
        raise BackendError(f"cannot read the set {stem}: {error}; make it with `make train-data`") from None
    if rate != spec.sample_rate or sum(int(row[2]) for row in rows) > len(samples):
        raise BackendError(f"{stem}.flac does not fit {stem}.tsv: make the set again with `make train-data`")
    buffers: list[AudioBuffer] = []
    begin = 0
    for row in rows:
        buffer = AudioBuffer(spec, "pcm_s16le", spec.sample_rate)
        buffer.feed(samples[begin : begin + int(row[2])].astype("<i2").tobytes())
        buffer.finish()
        buffers.append(buffer)
        begin += int(row[2])
    engine.allocate(len(rows))
    answers: list[list[NDArray[np.float32]]] = [[] for _ in rows]
    while live := [slot for slot, buffer in enumerate(buffers) if buffer.pending_chunks]:
        for first in range(0, len(live), BATCH):
            slots = live[first : first + BATCH]
            signal = np.stack([buffers[slot].take_chunk() for slot in slots])
            fresh = np.array([not answers[slot] for slot in slots])
            for slot, logprobs in zip(slots, engine.step(signal, np.array(slots, np.int32), fresh), strict=True):
                answers[slot].append(logprobs.copy())
    return [Clip(row[0], row[3], np.concatenate(answer)) for row, answer in zip(rows, answers, strict=True)]
