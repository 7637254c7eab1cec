"""Between which values a graph's activations lie: its float32 form runs over sound, made here or read from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_backend.errors import ModelError
from tritone_backend.spec import AcousticSpec

STREAMS = 8
MADE_SECONDS = 48
LEAST_SECONDS, MOST_SECONDS = 10, 600
"""Of the user's own audio: less says too little, more says nothing new."""
SUFFIXES = (".flac", ".mp3", ".ogg", ".opus", ".wav")
SAMPLE_RATE = 8000


def activation_ranges(model: Any, names: Sequence[str], signal: NDArray[np.int32]) -> Mapping[str, tuple[float, float]]:
    """Run a graph of the public contract and note the least and the largest value of some tensors.

    Args:
        model: the ONNX model, in full precision; it is left as it is.
        names: float32 tensors inside it.
        signal: int32 [streams, samples]; a part of a chunk at the end is left out.

    Returns:
        The extremes of each, zero always between them.

    Raises:
        ModelError: ONNX Runtime is missing or refuses the graph, or a value is not finite.
    """
    try:
        import onnxruntime as ort
    except ModuleNotFoundError:
        raise ModelError("calibrating needs ONNX Runtime: pip install 'tritone[onnxruntime]'") from None
    watched = type(model)()
    watched.CopyFrom(model)
    for name in names:
        watched.graph.output.add(name=name).type.tensor_type.elem_type = 1
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # its complaints come as exceptions too
    lowest, highest = np.zeros(len(names)), np.zeros(len(names))
    try:
        session = ort.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
        inputs = {item.name: item for item in session.get_inputs()}
        chunk = inputs["signal"].shape[1]
        kind = np.float16 if inputs["state"].type == "tensor(float16)" else np.float32
        state = np.zeros((len(signal), inputs["state"].shape[1]), kind)
        for start in range(0, signal.shape[1] - chunk + 1, chunk):
            feed = {"signal": signal[:, start : start + chunk, None], "state": state}
            state, *values = session.run(["state_next", *names], feed)
            lowest = np.minimum(lowest, [value.min() for value in values])
            highest = np.maximum(highest, [value.max() for value in values])
    except Exception as error:  # the runtime's exceptions share no public base
        raise ModelError(
            f"the graph cannot be calibrated: {next(iter(str(error).splitlines()), error)!s:.160}"
        ) from None
    if not (np.isfinite(lowest).all() and np.isfinite(highest).all()):
        raise ModelError("the graph cannot be calibrated: its activations are not finite on this audio")
    return {name: (float(low), float(high)) for name, low, high in zip(names, lowest, highest, strict=True)}


def made_sound() -> NDArray[np.int32]:
    """Return what a graph is calibrated on without recordings: int32 [streams, samples] at 8 kHz."""
    return noise_and_tones(STREAMS, MADE_SECONDS * SAMPLE_RATE // STREAMS, seed=1)


def noise_and_tones(streams: int, samples: int, seed: int = 0) -> NDArray[np.int32]:
    """Return int32 [streams, samples] at 8 kHz: gliding harmonics that come and go, over noise."""
    rng = np.random.default_rng(seed)
    moment = np.arange(samples) / SAMPLE_RATE
    pitch = rng.uniform(90, 220, (streams, 1)) * moment
    voice = sum(np.sin(2 * np.pi * k * pitch + k) / k for k in range(1, 9))
    envelope = np.clip(np.sin(2 * np.pi * rng.uniform(1, 4, (streams, 1)) * moment), 0, 1)
    signal = 3000 * voice * envelope + 40 * rng.standard_normal((streams, samples))
    whole: NDArray[np.int32] = np.clip(np.rint(signal), -32768, 32767).astype(np.int32)
    return whole


def read_sound(folder: Path, spec: AcousticSpec) -> NDArray[np.int32]:
    """Read the user's own recordings, brought to the model's rate, as streams of equal length.

    Args:
        folder: every audio file in it is read, in the order of their names, until there are `MOST_SECONDS`.
        spec: the model.

    Returns:
        int32 [streams, samples], whole chunks.

    Raises:
        ModelError: there is no such folder, a file cannot be read, or there is too little sound.
    """
    # Here, as sound that is made needs no package for audio.
    import soundfile

    from tritone_backend.audio import AudioBuffer

    if not folder.is_dir():
        raise ModelError(f"{folder} is not a folder: name one with recordings (--calibrate)")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ModelError(f"{folder} has no recordings: it needs files that end in {', '.join(SUFFIXES)} (--calibrate)")
    chunks: list[NDArray[np.int16]] = []
    for path in files:
        if len(chunks) * spec.chunk_seconds >= MOST_SECONDS:
            break
        try:
            with soundfile.SoundFile(path) as file:
                rate = file.samplerate
                samples = file.read(int(MOST_SECONDS * rate), dtype="int16", always_2d=True)
        except (OSError, soundfile.SoundFileError) as error:
            raise ModelError(f"{path} cannot be read: {error}") from None
        buffer = AudioBuffer(spec, "pcm_s16le", rate)
        buffer.feed(samples.mean(axis=1).astype("<i2").tobytes())
        buffer.finish()
        chunks += [buffer.take_chunk() for _ in range(buffer.pending_chunks)]
    seconds = len(chunks) * spec.chunk_seconds
    if seconds < LEAST_SECONDS:
        raise ModelError(f"{folder} holds {seconds:.0f} s of sound: calibrating needs {LEAST_SECONDS} s or more")
    if not any(chunk.any() for chunk in chunks):
        raise ModelError(f"{folder} holds nothing but silence: calibrating needs speech")
    # Where one recording's end meets another's beginning a stream jumps, which real calls do too.
    each = len(chunks) // STREAMS
    return np.concatenate(chunks[: each * STREAMS]).reshape(STREAMS, -1).astype(np.int32)
