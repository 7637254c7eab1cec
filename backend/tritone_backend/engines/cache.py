"""Where files derived on this machine live: optimised graphs, compiled kernels, timing caches, plans."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """Return ``$TRITONE_CACHE``, else the user's cache folder; it need not exist yet."""
    chosen = os.environ.get("TRITONE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(chosen) if chosen else (Path(base) if base else Path.home() / ".cache") / "tritone"
