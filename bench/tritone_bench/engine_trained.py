"""Agreement of the torch engine with float32 on trained weights and real speech: the best class of every frame."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritone_backend.engines.torch_gpu import TorchEngine
from tritone_backend.spec import AcousticSpec

from tritone_bench.engine_checks import largest
from tritone_bench.engine_setup import say

STREAMS, CHUNKS = 64, 40


def trained(
    model: Path, audio: Path, *, device: str = "cuda", streams: int = STREAMS, chunks: int = CHUNKS, fp8: bool = False
) -> dict[str, Any]:
    """Run speech through the engine, through its float32 form on the CPU, and through smaller batches.

    Args:
        model: folder of a trained model.
        audio: folder with 8 kHz recordings, 16-bit WAV.
        device: of the engine that is checked.
        streams: in one batch; each hears the recordings from another place, at another loudness.
        chunks: of each stream.
        fp8: with 8-bit products.

    Returns:
        Largest and mean difference, share of frames with the same best class, and what the batch size changes.
    """
    spec = AcousticSpec.load(model)
    signal = recordings(audio, streams, chunks, spec.chunk_samples)
    expected = _run(TorchEngine(spec, device="cpu", ladder=(streams,), fp8=False), signal)
    engine = TorchEngine(spec, device=device, ladder=tuple(sorted({1, max(1, streams // 8), streams})), fp8=fp8)
    got = _run(engine, signal)
    part = _run(engine, signal[:, : max(1, streams // 8)])
    alone = _run(engine, signal[:, :1])
    error = np.abs(got - expected)
    same = got.argmax(3) == expected.argmax(3)
    top = np.sort(expected, axis=3)
    margins = (top[..., -1] - top[..., -2])[~same]
    result = {
        "frames": int(same.size),
        "speech_frames": int((expected.argmax(3) < spec.blank - 1).sum()),
        "argmax_equal": float(same.mean()),
        "largest_margin_where_not": float(margins.max(initial=0.0)),
        "max_error": largest(error),
        "mean_error": float(error.mean()),
        "batch_change": max(largest(np.abs(got[:, : part.shape[1]] - part)), largest(np.abs(got[:, :1] - alone))),
    }
    say(
        f"trained weights{' with FP8' if fp8 else ''}: arg-max equal in {result['argmax_equal']:.4%} of "
        f"{result['frames']} frames ({result['speech_frames']} with letters), max {result['max_error']:.1e}, mean "
        f"{result['mean_error']:.1e}, batch size changes {result['batch_change']:.1e}"
    )
    return result


def recordings(folder: Path, streams: int, chunks: int, chunk_samples: int) -> NDArray[np.int16]:
    """Return int16 [chunks, streams, chunk_samples]: all recordings in a ring, entered at different places.

    Raises:
        FileNotFoundError: the folder holds no WAV file.
    """
    parts = []
    for path in sorted(folder.glob("*.wav")):
        with wave.open(str(path)) as file:
            parts.append(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
    if not parts:
        raise FileNotFoundError(f"{folder} holds no WAV file")
    ring = np.concatenate(parts).astype(np.float64)
    rows = np.arange(streams)[:, None] * (len(ring) // streams) + np.arange(chunks * chunk_samples)
    loudness = np.random.default_rng(0).uniform(0.3, 1.5, (streams, 1))
    signal = np.clip(np.rint(ring[rows % len(ring)] * loudness), -32768, 32767).astype(np.int16)
    return np.ascontiguousarray(signal.reshape(streams, chunks, chunk_samples).swapaxes(0, 1))


def _run(engine: TorchEngine, signal: NDArray[np.int16]) -> NDArray[np.float32]:
    chunks, streams = signal.shape[:2]
    engine.allocate(streams)
    slots = np.arange(streams, dtype=np.int32)[::-1].copy()
    return np.stack([engine.step(signal[i], slots, np.full(streams, i == 0)).copy() for i in range(chunks)])
