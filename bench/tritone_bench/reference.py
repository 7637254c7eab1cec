"""What the service answers to each call when nobody else is there: the measure of words under load."""

from __future__ import annotations

import secrets
import select
import time
from collections.abc import Callable, Mapping, Sequence

from tritone_bench import kserve
from tritone_bench.calls import Call
from tritone_bench.errors import ServiceError
from tritone_bench.http2 import Answer, Http2Connection
from tritone_bench.line import words_of

TIMEOUT_S = 30.0
FULL_PATIENCE_S = 8.0


def ask(connection: Http2Connection[None], message: bytes, timeout_s: float = TIMEOUT_S) -> Answer[None]:
    """One call, waiting for its answer.

    Raises:
        ServiceError: no answer in time.
    """
    connection.call(message, None)
    end = time.monotonic() + timeout_s
    while (left := end - time.monotonic()) > 0:
        connection.flush()
        ready, _, _ = select.select([connection], [connection] if connection.wants_to_write else [], [], left)
        if ready and (answers := connection.receive()):
            return answers[0]
    raise ServiceError(f"{connection.address} gave no answer within {timeout_s:g} s")


def record(
    host: str,
    port: int,
    calls: Sequence[Call],
    options: Mapping[str, kserve.ParameterValue],
    on_progress: Callable[[int], None] = lambda done: None,
) -> float:
    """Stream every call alone, one after the other and as fast as answers come, and keep the answers as reference.

    Args:
        host: of the service.
        port: of the service's gRPC.
        calls: their `reference` is set.
        options: stream options, the same as under load.
        on_progress: called with the number of calls done.

    Returns:
        Median seconds from a chunk to its answer.

    Raises:
        ServiceError: the service refuses, fails, or recognises no word in all of the speech.
    """
    connection: Http2Connection[None] = Http2Connection(host, port, kserve.METHOD)
    times: list[float] = []
    try:
        for done, call in enumerate(calls):
            on_progress(done)
            call.reference = _stream(connection, call, kserve.options(options), times)
    finally:
        connection.close()
    if not any(words_of(call.reference) for call in calls):
        raise ServiceError(
            "the service recognises no word in the speech, so words under load cannot be checked; "
            "is the right model served, and is there speech in --audio?"
        )
    return sorted(times)[len(times) // 2]


def _stream(connection: Http2Connection[None], call: Call, options: bytes, times: list[float]) -> list[bytes]:
    identity = kserve.identity(secrets.randbits(62) + 1)
    answers: list[bytes] = []
    patience = time.monotonic() + FULL_PATIENCE_S
    while len(answers) < len(call.chunks):
        index = len(answers)
        message = kserve.chunk(call.chunks[index]) + identity + kserve.EVENTS_ONLY
        if index == 0:
            message += kserve.START + options
        if index == len(call.chunks) - 1:
            message += kserve.END
        begun = time.monotonic()
        answer = ask(connection, message)
        if answer.status:
            if index == 0 and "[tritone:full" in answer.message and time.monotonic() < patience:
                time.sleep(0.5)  # streams of an earlier load may still be on their way out
                continue
            raise ServiceError(f"the service refuses a single stream: {answer.message or answer.status}")
        times.append(time.monotonic() - begun)
        try:
            answers.append(kserve.named_outputs(answer.payload)["events"])
            words_of(answers[-1:])
        except (ValueError, KeyError, TypeError) as error:
            raise ServiceError(f"{connection.address} answers, but not as a Tritone service does ({error!r})") from None
    return answers
