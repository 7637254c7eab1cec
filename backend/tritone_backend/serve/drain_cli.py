"""`tritone drain`: empty a running server before it is stopped or restarted. The work is done by `drain`."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from tritone_backend.serve.credentials import Credentials, credentials_file
from tritone_backend.serve.errors import ServeError
from tritone_backend.serve.folders import runtime_dir

DEFAULT_ADDRESS = "127.0.0.1:8001"
EXAMPLE = """example:
  tritone drain --timeout 120 && systemctl restart tritone
  tritone drain --undo

New streams are refused with the advice to come back or go elsewhere, and running calls go on. Those that still run
after --timeout are ended, and their clients take them up again on another of their addresses without losing a word.
Exit status: 0 when all calls came to their own end, 1 when some had to be moved.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tritone drain`."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("address", nargs="?", default=DEFAULT_ADDRESS, metavar="ADDRESS", help=f"HOST:PORT ({DEFAULT_ADDRESS})")
    add("--timeout", type=float, default=300.0, metavar="S", help="let running calls finish so long (default 300 s)")
    add("--undo", action="store_true", help="take new streams again")
    add("--credentials", type=Path, metavar="FILE", help="the server's health-PORT.json, when it runs elsewhere")
    add("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Drain and say how it went.

    Returns:
        The exit status.

    Raises:
        ServeError: there is no such server, or it may not be drained from here.
    """
    from tritone_backend.serve.drain import drain, tell

    if not (math.isfinite(args.timeout) and args.timeout >= 0):
        raise ServeError(f"--timeout {args.timeout:g} is not a number of seconds")
    host, _, port = args.address.rpartition(":")
    if not port.isdecimal():
        host, port = args.address, DEFAULT_ADDRESS.rpartition(":")[2]
    address = f"{host or '127.0.0.1'}:{port}"
    path = args.credentials or credentials_file(runtime_dir(), int(port))
    credentials = Credentials.load(path)
    if not credentials.admin:
        raise ServeError(
            f"{path} does not let anybody drain {address}: run this as the user who runs 'tritone serve' there, or "
            "give that server's file with --credentials"
        )
    if args.undo:
        tell(address, credentials, "undo")
        sys.stdout.write(f"tritone: {address} takes new streams again\n")
        return 0
    progress = _Progress(address, args.timeout, quiet=args.quiet)
    try:
        result = drain(address, credentials, args.timeout, progress)
    finally:
        progress.clear()
    if result.emptied:
        sys.stdout.write(f"tritone: {address} is empty after {result.seconds:.1f} s and takes no new streams\n")
        return 0
    sys.stdout.write(
        f"tritone: {address} takes no new streams; {result.ended} calls were ended after {args.timeout:g} s\n"
    )
    return 1


class _Progress:
    """One line that is rewritten on a terminal, a line every ten seconds elsewhere."""

    def __init__(self, address: str, timeout_s: float, *, quiet: bool) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._next_s = 0.0

    def __call__(self, live: int, waited_s: float) -> None:
        if self._quiet or (not self._terminal and waited_s < self._next_s):
            return
        self._next_s += 10.0
        text = f"tritone: {self._address}: {live} calls still run, {waited_s:.0f} of {self._timeout_s:g} s"
        sys.stderr.write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")
        sys.stderr.flush()

    def clear(self) -> None:
        """Leave the terminal's line empty."""
        if self._terminal and not self._quiet:
            sys.stderr.write("\r\x1b[K")
