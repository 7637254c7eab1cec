"""How much one service takes on, as an operator or the machine sets it. A record only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How much the loop takes on.

    Attributes:
        max_streams: streams alive at once.
        max_batch: streams in one network step.
        idle_timeout_s: a stream without requests for so long is dropped: its client has vanished.
        max_call_s: a stream older than that takes no more audio, only its END.
        measured: refuse streams for which there is a slot but, by what batches take here, no time.
        admin_key: the secret of whoever may drain the service; empty: nobody.
    """

    max_streams: int
    max_batch: int
    idle_timeout_s: float
    max_call_s: float = 14_400.0
    measured: bool = True
    admin_key: str = ""
