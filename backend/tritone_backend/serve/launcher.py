"""Run as a script: ties this process's life to the supervisor's, then becomes tritonserver.

Imports nothing of the project, so that it starts at once and the supervisor needs no code between fork and
exec.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
OPEN_FILES = 65_536


def main(arguments: list[str]) -> None:
    """Replaces this process by a command that dies with its parent.

    Args:
        arguments: the parent's process id (0: do not tie the lives together), then the command.
    """
    parent, command = int(arguments[0]), arguments[1:]
    if parent:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            sys.exit(f"prctl failed: {os.strerror(ctypes.get_errno())}")
        # The parent may have gone before the request took effect.
        if os.getppid() != parent:
            sys.exit("the supervisor is gone")
    # Every client connection is a file; the soft limit is often 1024.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
