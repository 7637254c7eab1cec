"""Asks a running server for a real answer: one short stream of silence through gRPC.

The command around it is `healthcheck`; what follows from a failure is decided by `supervisor`.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

from tritone_backend.serve.credentials import Credentials
from tritone_backend.serve.serverlog import DEAD_STUB

ASR, ACOUSTIC = "streaming_asr", "streaming_acoustic"
PROBE_BYTES = 4800  # one chunk: 0.3 s of 16-bit samples at 8 kHz
# Answers of a server that works and refuses on purpose.
LIVING_REFUSALS = ("[tritone:full", "[tritone:draining")


@dataclass(frozen=True)
class ProbeResult:
    """What one probe saw.

    Attributes:
        alive: the model answered, be it by a refusal.
        ready: a new stream would be admitted now.
        hopeless: the server says itself that the model's process is gone; it never restarts one.
        detail: the error in one line; empty when all is well.
        seconds: how long the answer took.
    """

    alive: bool
    ready: bool
    hopeless: bool
    detail: str
    seconds: float


def probe(
    address: str, timeout_s: float = 5.0, credentials: Credentials | None = None, model: str = ASR
) -> ProbeResult:
    """Sends one stream of 0.3 s of silence, start and end in one request, and reads what comes back.

    It meets the same gate as every new stream, takes no slot and runs through the network.

    Args:
        address: HOST:PORT of gRPC.
        timeout_s: seconds until it counts as no answer.
        credentials: of a server that asks for TLS or keys.
        model: the Triton model that is asked.

    Returns:
        The outcome; never raises for what a server does.
    """
    started = time.monotonic()
    answer, detail = ask(address, model, {"probe": True}, timeout_s, credentials or Credentials())
    if answer is not None:
        detail = _defect(answer.as_numpy("events")) if model == ASR else _misshapen(answer.as_numpy("logprobs"))
    alive = not detail or any(tag in detail for tag in LIVING_REFUSALS)
    return ProbeResult(alive, not detail, DEAD_STUB in detail, detail, time.monotonic() - started)


def ask(
    address: str, model: str, parameters: dict[str, Any], timeout_s: float, credentials: Credentials
) -> tuple[Any, str]:
    """Sends 0.3 s of silence as a whole stream.

    Each time on a connection of its own, so that none inherits the back-off of one that failed.

    Returns:
        The answer or None, and the error in one line or nothing.
    """
    import numpy as np
    import tritonclient.grpc as triton
    from tritonclient.utils import InferenceServerException

    if model == ASR:
        tensor = triton.InferInput("audio", [1, PROBE_BYTES], "UINT8")
        tensor.set_data_from_numpy(np.zeros((1, PROBE_BYTES), np.uint8))
    else:
        tensor = triton.InferInput("signal", [1, PROBE_BYTES // 2, 1], "INT32")
        tensor.set_data_from_numpy(np.zeros((1, PROBE_BYTES // 2, 1), np.int32))
    client: Any = triton.InferenceServerClient(address, **credentials.client_arguments())
    try:
        answer = client.infer(
            model,
            [tensor],
            sequence_id=secrets.randbelow(2**63 - 1) + 1,
            sequence_start=True,
            sequence_end=True,
            client_timeout=timeout_s,
            headers=credentials.headers(),
            parameters=parameters,
        )
    except InferenceServerException as error:
        return None, " ".join(str(error.message()).split()) or "no answer"
    else:
        return answer, ""
    finally:
        client.close()


def _misshapen(logprobs: Any) -> str:
    """Says what is wrong with log-probs; empty when there are some for each frame."""
    if logprobs is None or logprobs.ndim != 3 or not logprobs.size:
        return "the answer has no log-probs"
    return ""


def _defect(output: Any) -> str:
    """Says what is wrong with the bytes of an answer; empty when they are a JSON list."""
    events = b"" if output is None else output.tobytes()
    if not events:
        return "the answer is empty: numpy 2 in the server's Python? (pip install 'numpy<2')"
    try:
        parsed = json.loads(events)
    except ValueError:
        return f"the answer is not JSON: {events[:40]!r}"
    return "" if isinstance(parsed, list) else "the answer is not a list of events"
