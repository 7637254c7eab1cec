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

MODEL = "streaming_asr"
PROBE_BYTES = 4800  # one chunk: 0.3 s of 16-bit samples at 8 kHz
# Answers of a server that works and refuses on purpose.
LIVING_REFUSALS = ("[tritone:full", "[tritone:draining")


@dataclass(frozen=True)
class ProbeResult:
    """What one probe saw.

    Attributes:
        alive: the speech model answered, be it by a refusal.
        hopeless: the server says itself that the model's process is gone; it never restarts one.
        detail: the error in one line; empty when all is well.
        seconds: how long the answer took.
    """

    alive: bool
    hopeless: bool
    detail: str
    seconds: float


def probe(address: str, timeout_s: float = 5.0, credentials: Credentials | None = None) -> ProbeResult:
    """Sends one stream of 0.3 s of silence, start and end in one request, and reads its events.

    Each probe has its own connection, so that none inherits the back-off of one that failed.

    Args:
        address: HOST:PORT of gRPC.
        timeout_s: seconds until it counts as no answer.
        credentials: of a server that asks for TLS or keys.

    Returns:
        The outcome; never raises for what a server does.
    """
    import numpy as np
    import tritonclient.grpc as triton
    from tritonclient.utils import InferenceServerException

    started = time.monotonic()
    audio = triton.InferInput("audio", [1, PROBE_BYTES], "UINT8")
    audio.set_data_from_numpy(np.zeros((1, PROBE_BYTES), np.uint8))
    credentials = credentials or Credentials()
    client: Any = triton.InferenceServerClient(address, **credentials.client_arguments())
    try:
        answer = client.infer(
            MODEL,
            [audio],
            sequence_id=secrets.randbelow(2**63 - 1) + 1,
            sequence_start=True,
            sequence_end=True,
            client_timeout=timeout_s,
            headers=credentials.headers(),
            parameters={"probe": True},
        )
        events = answer.as_numpy("events")
        detail = _defect(None if events is None else events.tobytes())
    except InferenceServerException as error:
        detail = " ".join(str(error.message()).split()) or "no answer"
    finally:
        client.close()
    refused = detail.startswith(LIVING_REFUSALS) or any(tag in detail for tag in LIVING_REFUSALS)
    return ProbeResult(not detail or refused, DEAD_STUB in detail, detail, time.monotonic() - started)


def _defect(events: bytes | None) -> str:
    """Says what is wrong with the bytes of an answer; empty when they are a JSON list."""
    if not events:
        return "the answer is empty: numpy 2 in the server's Python? (pip install 'numpy<2')"
    try:
        parsed = json.loads(events)
    except ValueError:
        return f"the answer is not JSON: {events[:40]!r}"
    return "" if isinstance(parsed, list) else "the answer is not a list of events"
