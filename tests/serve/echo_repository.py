"""A model repository with the speech model's interface and none of its work: for tests of the server's life.

Its `streaming_asr` answers with what it saw, and misbehaves on command.
"""

from __future__ import annotations

from pathlib import Path

CONFIG = """
name: "streaming_asr"
backend: "python"
max_batch_size: 64
input [ { name: "audio" data_type: TYPE_UINT8 dims: [ -1 ] } ]
output [ { name: "events" data_type: TYPE_UINT8 dims: [ -1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
sequence_batching { max_sequence_idle_microseconds: 5000000 oldest { max_candidate_sequences: 64 } }
"""

MODEL = """
import json, os, sys, time
import numpy as np
import triton_python_backend_utils as pb_utils

BEHAVIOUR = {behaviour!r}

class TritonPythonModel:
    def initialize(self, args):
        if BEHAVIOUR == "refuse":
            raise RuntimeError("engine tensorrt needs a GPU; choose another with --engine")
        if BEHAVIOUR == "die-early":
            os._exit(3)
        if BEHAVIOUR == "slow":
            time.sleep(60)
        pb_utils.Logger.log_info("tritone: streaming_asr serves tiny on echo (asked for), 64 slots")

    def execute(self, requests):
        responses = []
        for request in requests:
            audio = pb_utils.get_input_tensor_by_name(request, "audio").as_numpy().tobytes()
            if audio == b"DIE":
                os._exit(7)
            if audio == b"HANG":
                time.sleep(600)
            if BEHAVIOUR == "full":
                responses.append(pb_utils.InferenceResponse(error=pb_utils.TritonError(
                    "no free slot [tritone:full retry_after_s=2]", pb_utils.TritonError.UNAVAILABLE)))
                continue
            seen = [{{
                "bytes": len(audio),
                "flags": request.flags(),
                "parameters": request.parameters(),
                "python": sys.version.split()[0],
                "numpy": np.__file__,
            }}]
            text = np.frombuffer(json.dumps(seen).encode(), np.uint8).reshape(1, -1)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("events", text)]))
        return responses
"""

ACOUSTIC_CONFIG = (
    CONFIG.replace("streaming_asr", "streaming_acoustic")
    .replace(
        'input [ { name: "audio" data_type: TYPE_UINT8 dims: [ -1 ] } ]',
        'input [ { name: "signal" data_type: TYPE_INT32 dims: [ -1, 1 ] } ]',
    )
    .replace(
        'output [ { name: "events" data_type: TYPE_UINT8 dims: [ -1 ] } ]',
        'output [ { name: "logprobs" data_type: TYPE_FP32 dims: [ 10, 35 ] } ]',
    )
)

ACOUSTIC_MODEL = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        logprobs = np.zeros((1, 10, 35), np.float32)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("logprobs", logprobs)]) for _ in requests]
"""


def write_repository(folder: Path, behaviour: str = "echo") -> Path:
    """Writes the repository.

    Args:
        folder: where; created.
        behaviour: "echo", "refuse" (fails to load), "die-early", "slow" (loads for a minute), "full", or "both":
            echo with a `streaming_acoustic` beside it.
    """
    models = {"streaming_asr": (CONFIG, MODEL.format(behaviour=behaviour))}
    if behaviour == "both":
        models["streaming_acoustic"] = (ACOUSTIC_CONFIG, ACOUSTIC_MODEL)
    for name, (config, model) in models.items():
        version = folder / name / "1"
        version.mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(config)
        (version / "model.py").write_text(model)
    return folder
