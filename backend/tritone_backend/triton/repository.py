"""Writes the model repository that Triton loads. The committed one is what this writes with the defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tritone_backend.profiling.names import STAGES

IDLE_MARGIN_S = 5
"""Triton forgets a silent sequence this much later than we do, so that our error, the clearer one, comes first."""

MIN_CANDIDATES = 65_536
"""A refused START keeps its place in Triton until it idles out: with 1 024 places, 16 refusals a second made every
further START wait without an answer. This many carry 1 000 a second at the default idle limit, for 90 MB a model."""

_MODELS = {
    "streaming_asr": (
        "AsrModel",
        'input [ { name: "audio" data_type: TYPE_UINT8 dims: [ -1 ] } ]\n'
        'output [\n  { name: "events" data_type: TYPE_UINT8 dims: [ -1 ] },\n'
        '  { name: "timing" data_type: TYPE_FP32 dims: [ -1 ] }\n]\n',
    ),
    "streaming_acoustic": (
        "AcousticModel",
        'input [ { name: "signal" data_type: TYPE_INT32 dims: [ 2400, 1 ] } ]\n'
        'output [ { name: "logprobs" data_type: TYPE_FP32 dims: [ 10, 35 ] } ]\n',
    ),
}


@dataclass(frozen=True)
class ModelSettings:
    """What both Triton models are told.

    Attributes:
        model: name or folder of the acoustic model.
        engine: engine's name, or ``auto``.
        max_streams: slots of each model.
        idle_timeout_s: a stream silent for so long is dropped.
        max_call_s: a stream older than that takes no more audio.
        threads: CPU threads for the network; 0 lets the engine decide.
        instances: processes of `streaming_asr`, each with its share of the slots.
        engine_process: ``own``: an engine in every one of them; ``shared``: one engine process for all.
        max_batch: streams in one network step; 0 lets the engine decide.
        decoder: ``greedy``, ``beam``, or ``auto``: beam where the model has a language model.
        language_model: file that stands in for the model's own; empty for that.
        final_deadline_ms: how long a final waits for the beam search before it stays greedy.
        partial_deadline_ms: how long a partial waits for it before it shows what was known before.
        admission: ``measured`` refuses streams for which there is a slot and no time, ``slots`` goes by slots alone.
    """

    model: str = "default"
    engine: str = "auto"
    max_streams: int = 256
    idle_timeout_s: float = 60.0
    max_call_s: float = 14_400.0
    threads: int = 0
    instances: int = 1
    engine_process: str = "own"
    max_batch: int = 0
    admission: str = "measured"
    decoder: str = "auto"
    language_model: str = ""
    final_deadline_ms: int = 100
    partial_deadline_ms: int = 10


def render_repository(target: Path, settings: ModelSettings) -> None:
    """Write ``target/<model>/config.pbtxt`` and ``target/<model>/1/model.py`` for every Triton model."""
    for name, (adapter, tensors) in _MODELS.items():
        version = target / name / "1"
        version.mkdir(parents=True, exist_ok=True)
        module = "asr" if adapter == "AsrModel" else "acoustic"
        (version / "model.py").write_text(
            '"""What Triton loads; everything is in tritone_backend."""\n\n'
            f"from tritone_backend.triton.{module} import {adapter} as TritonPythonModel\n\n"
            '__all__ = ["TritonPythonModel"]\n',
            encoding="utf-8",
        )
        mine = settings if adapter == "AsrModel" else replace(settings, instances=1)
        (target / name / "config.pbtxt").write_text(_config(name, tensors, mine), encoding="utf-8")


def _config(name: str, tensors: str, settings: ModelSettings) -> str:
    # Refused streams must reach the model, which alone can refuse them clearly, so Triton gets more room than slots.
    # Every instance has that many; Triton gives a new sequence the lowest free place of all instances.
    candidates = max(MIN_CANDIDATES, 4 * settings.max_streams) // settings.instances
    idle_us = int((settings.idle_timeout_s + IDLE_MARGIN_S) * 1e6)
    parameters = "".join(
        f'  {{ key: "{key}" value: {{ string_value: "{_escape(str(value))}" }} }},\n'
        for key, value in {**vars(settings), "timing_names": ",".join(STAGES)}.items()
    ).rstrip(",\n")
    return (
        f'name: "{name}"\nbackend: "python"\nmax_batch_size: 256\n{tensors}'
        f"instance_group [ {{ count: {settings.instances} kind: KIND_CPU }} ]\n"
        f"sequence_batching {{\n  max_sequence_idle_microseconds: {idle_us}\n"
        f"  oldest {{ max_candidate_sequences: {candidates} }}\n}}\n"
        f"parameters [\n{parameters}\n]\n"
    )


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


if __name__ == "__main__":
    import sys

    render_repository(Path(sys.argv[1]), ModelSettings())
