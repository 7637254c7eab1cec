"""The container's health check: `python -m tritone_backend.serve.healthcheck HOST:PORT` probes once.

Exit status 0 when the server answers, be it by a refusal, 1 when it does not; with `--ready` 0 only when it would admit
a new stream. The probe itself is `probe`.
"""

from __future__ import annotations

import argparse
import sys

from tritone_backend.serve.credentials import Credentials, credentials_file
from tritone_backend.serve.folders import runtime_dir
from tritone_backend.serve.probe import probe


def main(arguments: list[str] | None = None) -> int:
    """Probes once and prints one line.

    Returns:
        0 when the server answered, or would admit a stream if that was asked for; 1 otherwise.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tritone_backend.serve.healthcheck", description="Ask a running server for a real answer."
    )
    parser.add_argument("address", nargs="?", default="127.0.0.1:8001", metavar="HOST:PORT")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="S", help="seconds to wait (default 5)")
    parser.add_argument("--ready", action="store_true", help="ask whether a new stream would be served")
    options = parser.parse_args(arguments)
    port = options.address.rpartition(":")[2]
    known = Credentials.load(credentials_file(runtime_dir(), int(port))) if port.isdecimal() else Credentials()
    result = probe(options.address, options.timeout, known)
    if not result.alive:
        told = f"no answer: {result.detail}"
    elif not result.ready:
        told = f"alive, admits no stream now: {result.detail}"
    else:
        told = f"answered in {result.seconds * 1000:.0f} ms"
    sys.stdout.write(f"{options.address} {told}\n")
    return 0 if (result.ready if options.ready else result.alive) else 1


if __name__ == "__main__":
    sys.exit(main())
