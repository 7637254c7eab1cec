"""What the loop has done so far, as plain numbers. Whoever publishes them reads them from here."""

from __future__ import annotations

from dataclasses import dataclass, field

from tritone_backend.profiling.names import DEGRADATIONS


@dataclass
class Counters:
    """Totals since start, and four gauges.

    Attributes:
        slots: gauge, streams that fit.
        live: gauge, streams alive.
        ready: gauge, whether a new stream would be admitted now.
        draining: gauge, whether new streams are turned away because the server is being drained.
        admitted: streams that got a slot.
        refused: streams turned away, by reason.
        reaped: streams dropped because their client went silent.
        drained: streams ended so that their clients move them to another server.
        rejected: requests answered with an error of their own making, by reason.
        failed: streams lost to an error of ours.
        failed_batches: network steps that failed.
        batches: network steps.
        chunks: chunks through the network.
        late: chunks answered later than they last.
        late_batches: network steps, with their decoding, that took longer than a chunk lasts.
        late_partials: answers without final that had to go without the search's newest words.
        degraded: phrases that stayed greedy, by reason. All reasons are there from the start: search threads count
            while others copy.
        busy_s: seconds that the loop worked; where lanes work beside it, that these did on average.
    """

    slots: int = 0
    live: int = 0
    ready: bool = True
    draining: bool = False
    admitted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    reaped: int = 0
    drained: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    failed_batches: int = 0
    batches: int = 0
    chunks: int = 0
    late: int = 0
    late_batches: int = 0
    late_partials: int = 0
    degraded: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DEGRADATIONS, 0))
    busy_s: float = 0.0

    @property
    def free(self) -> int:
        """Slots without a stream."""
        return self.slots - self.live


def count(totals: dict[str, int], reason: str) -> None:
    """Add one to a total by reason."""
    totals[reason] = totals.get(reason, 0) + 1
