"""Names in a shared folder that belong to one server, and a lock that says whether it still lives.

For the Python backend's regions in /dev/shm, which Triton leaves there when it is killed, and for rendered
files. Nothing here touches what another program made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

SHM_DIR = Path("/dev/shm")  # noqa: S108 - the kernel's name for POSIX shared memory
PREFIX = "tritone_"


class Lease:
    """A unique prefix for one supervisor's files in a folder.

    The lock file is inherited by the server and its stubs, so the kernel releases it when the last of them
    ends, however it ends and in whichever container it ran (a process id would say nothing across
    containers).

    Args:
        folder: where the files lie.

    Attributes:
        prefix: what the names begin with.
        lock_fd: descriptor to pass on to child processes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        while True:
            self.prefix = f"{PREFIX}{secrets.token_hex(6)}_"
            self._lock_path = folder / f"{self.prefix}lock"
            self.lock_fd = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self.lock_fd, fcntl.LOCK_EX)
            # Somebody's `remove_abandoned` may have come between the two calls and removed the file.
            if os.fstat(self.lock_fd).st_nlink:
                break
            os.close(self.lock_fd)

    def path(self, name: str) -> Path:
        """A path in the folder that this lease owns."""
        return self._folder / f"{self.prefix}{name}"

    def remove_files(self) -> int:
        """Removes everything under the prefix but the lock.

        Returns:
            How many entries there were.
        """
        return _remove(path for path in self._folder.glob(f"{self.prefix}*") if path != self._lock_path)

    def close(self) -> None:
        """Removes everything; the prefix is not used again."""
        self.remove_files()
        _remove([self._lock_path])
        with contextlib.suppress(OSError):
            os.close(self.lock_fd)


def remove_abandoned(folder: Path) -> int:
    """Removes what servers left whose supervisor was killed too: those whose lock nobody holds any more.

    Args:
        folder: a folder that leases are made in.

    Returns:
        How many entries were removed, locks not counted.
    """
    removed = 0
    for lock_path in folder.glob(f"{PREFIX}*_lock"):
        try:
            descriptor = os.open(lock_path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # another user's, or just removed
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # its server lives
        else:
            prefix = lock_path.name.removesuffix("lock")
            removed += _remove(path for path in folder.glob(f"{prefix}*") if path != lock_path)
            _remove([lock_path])
        finally:
            os.close(descriptor)
    return removed


def _remove(paths: Iterable[Path]) -> int:
    removed = 0
    for path in list(paths):
        # One that is gone already is nobody's loss.
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            removed += 1
    return removed
