"""The keys file on disk: read with its size and permissions checked, written in one step, watched for changes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tritone_backend.access.keys import MAX_FILE_BYTES, Key, KeysError, format_keys, parse_keys

LOOK_S = 1.0
COMPLAIN_S = 60.0
_Stamp = tuple[int, int, int]


def read_keys(path: Path) -> dict[str, Key]:
    """Entries of the file, by name.

    Raises:
        KeysError: it is missing, unreadable, writable by everybody, far too long or wrong.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise KeysError(f"{path} is no file; 'tritone keys add' makes one")
            if status.st_mode & 0o022:
                raise KeysError(f"others may write to {path}: chmod go-w {path}")
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise KeysError(f"there is no keys file {path}; 'tritone keys add --file {path} NAME' makes one") from None
    except OSError as error:
        raise KeysError(f"cannot read the keys file {path}: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise KeysError(f"the keys file {path} has more than {MAX_FILE_BYTES >> 20} MiB")
    try:
        return parse_keys(content.decode())
    except UnicodeDecodeError:
        raise KeysError(f"the keys file {path} is not UTF-8 text") from None
    except KeysError as error:
        raise KeysError(f"{path}: {error.user_message}") from None


@contextlib.contextmanager
def edit_keys(path: Path) -> Iterator[dict[str, Key]]:
    """Entries to be changed in place, written when the block ends well; nobody ever reads half a file.

    Raises:
        KeysError: as :func:`read_keys`, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (path.parent / f".{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two editors at once must not lose an entry
            keys = read_keys(path) if path.exists() else {}
            yield keys
            _replace(path, format_keys(keys))
    except OSError as error:
        raise KeysError(f"cannot write the keys file {path}: {error.strerror}") from None


def _replace(path: Path, text: str) -> None:
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class WatchedKeys:
    """The file's entries, at most a second old. Asked on the request path, so that it needs no thread.

    Args:
        path: the file; it must be right when the service starts.
        complain: takes a line for the log when the file is missing or wrong later on. What was valid until then
            stays valid: a slip of an editor must not end every call.

    Raises:
        KeysError: the file is missing or wrong.
    """

    def __init__(self, path: Path, complain: Callable[[str], None]) -> None:
        self._path = path
        self._complain = complain
        self._stamp = _stamp(path)
        self._keys = read_keys(path)
        self._next_look = 0.0
        self._next_complaint = 0.0

    def current(self, now_s: float) -> dict[str, Key]:
        """Entries by name.

        Args:
            now_s: a monotonic clock's time.
        """
        if now_s >= self._next_look:
            self._next_look = now_s + LOOK_S
            stamp = _stamp(self._path)
            if stamp != self._stamp or stamp is None:
                self._reload(stamp, now_s)
        return self._keys

    def _reload(self, stamp: _Stamp | None, now_s: float) -> None:
        try:
            self._keys = read_keys(self._path)
            self._stamp = stamp
        except KeysError as error:
            if now_s >= self._next_complaint:
                self._next_complaint = now_s + COMPLAIN_S
                self._complain(f"tritone: event=keys-not-reloaded detail={error.user_message!r}")


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
