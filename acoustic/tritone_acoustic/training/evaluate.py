"""Transcribes clips greedily as a stream would hear them, and scores the result.

Error counting is in `scores`; reading checkpoints in `checkpoints`.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tritone_acoustic.data.audio import Clip, read_set
from tritone_acoustic.data.console import say
from tritone_acoustic.data.normalize import ALPHABET, BLANK, decode
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.network import SAMPLE_SCALE, AcousticModel
from tritone_acoustic.training.checkpoints import load_compact
from tritone_acoustic.training.scores import Score, score

CHUNK = 2400
_SPACE = ALPHABET.index(" ")


def padded(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Pads a clip as the service does: a zero chunk before, a zero chunk after, then up to whole chunks.

    Args:
        samples: int16 [n].

    Returns:
        float32 [N], N a multiple of 2400, scaled as the network wants it.
    """
    total = -(-(len(samples) + 2 * CHUNK) // CHUNK) * CHUNK
    row = np.zeros(total, dtype=np.float32)
    row[CHUNK : CHUNK + len(samples)] = samples / SAMPLE_SCALE
    return row


@torch.no_grad()
def transcribe(model: AcousticModel, clips: list[Clip], batch_seconds: float = 240.0) -> tuple[list[str], list[Tensor]]:
    """Transcribes clips; whole-clip forward, which equals streaming on whole chunks.

    Args:
        model: in evaluation mode.
        clips: 8 kHz utterances.
        batch_seconds: audio per forward pass, padding included.

    Returns:
        Texts and best classes (int64 [T]) in the order of the clips.
    """
    device = next(model.parameters()).device
    rows = [padded(clip.samples) for clip in clips]
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    best: list[Tensor] = [torch.empty(0)] * len(rows)
    while order:
        batch: list[int] = []
        while order and len(rows[order[0]]) * (len(batch) + 1) <= max(batch_seconds * 8000, len(rows[order[0]])):
            batch.append(order.pop(0))
        longest = len(rows[batch[-1]])
        waveform = torch.zeros(len(batch), longest)
        for place, number in enumerate(batch):
            waveform[place, : len(rows[number])] = torch.from_numpy(rows[number])
        lengths = torch.tensor([len(rows[number]) for number in batch])
        logprobs, frames = model(waveform.to(device), lengths.to(device))
        classes = logprobs.argmax(dim=2).cpu()
        for place, number in enumerate(batch):
            best[number] = classes[place, : int(frames[place])]
    return [decode(classes.tolist()) for classes in best], best


def time_bias(clips: list[Clip], best: list[Tensor]) -> float:
    """Estimates how late the network writes: the mean lag of first and last letters behind the sound.

    The sound of a clip lasts from its first to its last 10 ms with at least 1/1000 of its largest energy.

    Args:
        clips: clean utterances.
        best: their best classes from `transcribe`.

    Returns:
        Seconds; 0 without any letter.
    """
    lags: list[float] = []
    for clip, classes in zip(clips, best, strict=True):
        frames = clip.samples[: len(clip.samples) // 80 * 80].astype(np.float32).reshape(-1, 80)
        energy = np.square(frames).mean(axis=1)
        loud = np.flatnonzero(energy > energy.max(initial=0.0) * 1e-3)
        letters = torch.nonzero((classes != BLANK) & (classes != _SPACE)).flatten()
        if len(loud) and len(letters):
            lags.append(float(letters[0]) * 0.03 - 0.3 - loud[0] * 0.01)
            lags.append((float(letters[-1]) + 1) * 0.03 - 0.3 - (loud[-1] + 1) * 0.01)
    return round(float(np.mean(lags)), 3) if lags else 0.0


def score_clips(model: AcousticModel, clips: list[Clip]) -> Score:
    """Transcribes and scores.

    Args:
        model: in evaluation mode.
        clips: utterances with transcripts.

    Returns:
        Error rates.
    """
    texts, _ = transcribe(model, clips)
    return score([clip.text for clip in clips], texts)


def evaluate(checkpoint: Path, paths: DataPaths, report: Path | None, examples: int = 3) -> dict[str, Any]:
    """Scores a compact checkpoint on every evaluation set that exists, prints a table and writes JSON.

    Args:
        checkpoint: a .safetensors file.
        paths: the data folder, after `bundle`.
        report: JSON file to write, or None.
        examples: transcripts to show per set.

    Returns:
        What was written.
    """
    model = load_compact(checkpoint)
    model.eval()
    names = [
        name
        for name in ("synthetic_dev", "held_out_voices", "festvox_dev", "prompts")
        if (paths.sets / f"{name}.tsv").exists()
    ]
    result: dict[str, Any] = {"checkpoint": checkpoint.name, "sets": {}}
    rows: list[tuple[str, Score]] = []
    for name in names:
        clips = read_set(paths.sets / name)
        say(f"transcribing {name}: {len(clips)} clips")
        texts, best = transcribe(model, clips)
        references = [clip.text for clip in clips]
        rows.append((name, score(references, texts)))
        if name == "prompts":
            long = [number for number, text in enumerate(references) if len(text.split()) >= 5]
            rows.append(("prompts_5_words", score([references[n] for n in long], [texts[n] for n in long])))
        if name == "synthetic_dev":
            result["time_bias_seconds"] = time_bias(clips, best)
        for number in range(0, len(clips), -(-len(clips) // examples)) if examples else ():
            say(f"  said  {references[number]}")
            say(f"  heard {texts[number]}")
    say(f"{'set':18}{'clips':>7}{'words':>7}{'WER %':>8}{'CER %':>8}{'WER ё%':>8}{'CER ё%':>8}")
    for name, value in rows:
        result["sets"][name] = dataclasses.asdict(value)
        say(
            f"{name:18}{value.clips:7}{value.words:7}{value.wer:8.2f}{value.cer:8.2f}"
            f"{value.wer_yo:8.2f}{value.cer_yo:8.2f}"
        )
    say(f"time bias {result.get('time_bias_seconds', 0.0):.3f} s")
    if report:
        report.write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return result
