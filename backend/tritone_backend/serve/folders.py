"""Where the service keeps what it writes on this machine: rendered files, logs, the health check's credentials."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tritone_backend.serve.errors import ServeError


def runtime_dir(chosen: Path | None = None) -> Path:
    """The folder that was chosen, or this user's state folder, or a temporary one; it exists and is writable.

    Raises:
        ServeError: the temporary one belongs to somebody else.
    """
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        return chosen
    state = os.environ.get("XDG_STATE_HOME")
    try:
        folder = (Path(state) if state else Path.home() / ".local" / "state") / "tritone"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    except (OSError, RuntimeError):
        pass
    folder = Path(tempfile.gettempdir()) / f"tritone-{os.getuid()}"
    folder.mkdir(exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid() or folder.is_symlink():
        raise ServeError(f"{folder} belongs to somebody else; set XDG_STATE_HOME to a folder of yours")
    return folder
