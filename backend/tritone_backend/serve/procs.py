"""Process groups, read from /proc: who is in one, signal all of it, reap what was orphaned to this process.

Knows nothing of servers; needs nothing but Linux.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def group_members(group: int) -> list[int]:
    """Process ids of a process group that still run; zombies do not count.

    Args:
        group: process group id.

    Returns:
        Ids in rising order.
    """
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The command name may hold spaces and brackets: the fields proper begin after the last one.
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in {"Z", "X"}:
            members.append(int(entry.name))
    return sorted(members)


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def signal_group(group: int, number: int) -> None:
    """Sends a signal to every member of a process group; a group that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.Signals(number))


def reap_group(group: int) -> None:
    """Collects the exit statuses of members that ended as children of this process (adopted stubs)."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0] != 0:
            pass


def adopt_orphans() -> None:
    """Makes this process the parent of orphaned descendants: stubs of a killed server leave no zombies."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def describe_status(status: int | None) -> str:
    """Words for an exit status: `exit status 1`, `signal SIGSEGV`, `still running`."""
    if status is None:
        return "still running"
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
