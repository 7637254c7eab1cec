"""What the loop has done so far, as plain numbers. Whoever publishes them reads them from here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counters:
    """Totals since start, and two gauges.

    Attributes:
        slots: gauge, streams that fit.
        live: gauge, streams alive.
        admitted: streams that got a slot.
        refused: streams turned away for want of a slot or of time.
        reaped: streams dropped because their client went silent.
        rejected: requests answered with an error of their own making.
        failed: streams lost to an error of ours.
        failed_batches: network steps that failed.
        batches: network steps.
        chunks: chunks through the network.
        late: chunks that waited longer than they last.
    """

    slots: int = 0
    live: int = 0
    admitted: int = 0
    refused: int = 0
    reaped: int = 0
    rejected: int = 0
    failed: int = 0
    failed_batches: int = 0
    batches: int = 0
    chunks: int = 0
    late: int = 0
