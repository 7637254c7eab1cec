"""Which shared memory belongs to one tritonserver: other tests' servers may run beside it."""

from __future__ import annotations

import re
from pathlib import Path

from tritone_backend.serve.lease import SHM_DIR


def prefix_of(pid: int) -> str:
    """The prefix that a running server was given, read from its command line."""
    match = re.search(r"shm-region-prefix-name=(\w+)", Path(f"/proc/{pid}/cmdline").read_text())
    assert match is not None
    return match.group(1)


def regions(prefix: str) -> list[str]:
    """Names in /dev/shm under a prefix, the lock among them."""
    return sorted(path.name for path in SHM_DIR.glob(f"{prefix}*"))
