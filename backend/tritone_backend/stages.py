"""Names of the stages a chunk passes, in order, in microseconds: shared by the `timing` output and its readers."""

from __future__ import annotations

STAGES = (
    "queue",  # from the request's arrival in the model to its turn
    "unpack",  # bytes to samples at the network's rate
    "batch_wait",  # from the chunk being ready to its batch starting
    "copy_in",
    "network",
    "copy_out",
    "decode",  # endpointing and decoding of the whole batch
    "pack",  # events to bytes
)
"""Order of the values in the `timing` output. Of a request with several chunks it describes the last one."""
