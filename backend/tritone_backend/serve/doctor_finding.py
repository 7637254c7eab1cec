"""One finding of `tritone doctor`: the record that the checks return. Finds nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

OK, MISSING, PROBLEM = "ok", "missing", "problem"


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: what was looked at.
        state: "ok", "missing" or "problem".
        detail: what was found.
        remedy: how to get or mend it; empty when all is well.
        needed: serving is impossible unless the state is "ok".
    """

    name: str
    state: str
    detail: str
    remedy: str = ""
    needed: bool = False
