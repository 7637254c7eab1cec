"""Who sent a request, as far as the rest of the backend needs to know. No secrets and no files here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """The holder of a valid key.

    Attributes:
        name: the key's name; it is no secret and may be logged.
        max_streams: streams that this key may have open at once in one Triton model.
    """

    name: str
    max_streams: int
