"""Arguments that `transcribe` and `listen` share, and what they mean for the client.

What only one of them takes is in its own module.
"""

from __future__ import annotations

import argparse
import os

from tritone_client._client import Client
from tritone_client._options import Options, Timeouts
from tritone_client._wire import DEFAULT_ADDRESS, SAMPLE_WIDTH


def add_stream_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments about the service and about what it is asked for."""
    add = parser.add_argument
    server = os.environ.get("TRITONE_SERVER", DEFAULT_ADDRESS)
    add("--server", metavar="HOST:PORT", default=server, help=f"the service, or several with commas ({server})")
    add("--wait", metavar="S", type=float, default=30.0, help="seconds to wait while the service is full (30)")
    add("--words", action="store_true", help="words with their times and confidence")
    add("--no-partials", action="store_true", help="only complete phrases")
    add("--endpointing-ms", metavar="MS", type=int, help="silence that ends a phrase (the service's: 600)")
    add("--quiet", action="store_true", help="no progress, no summary")


def add_raw_arguments(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the arguments that describe audio without a header."""
    encodings = list(SAMPLE_WIDTH)
    parser.add_argument("--encoding", choices=encodings, metavar="NAME", help=f"of {what}: {', '.join(encodings)}")
    parser.add_argument("--sample-rate", metavar="HZ", type=int, help=f"of {what} (8000)")


def make_client(args: argparse.Namespace, request_s: float) -> Client:
    """The client that the arguments ask for.

    Raises:
        InvalidOption: an impossible address or time.
    """
    addresses = [address.strip() for address in args.server.split(",")]
    return Client(addresses, timeout=Timeouts(request=request_s, admission=args.wait))


def make_options(args: argparse.Namespace, *, encoding: str, sample_rate: int, partials: bool) -> Options:
    """The options of one stream that the arguments ask for.

    Raises:
        InvalidOption: a value is out of range.
    """
    return Options(
        encoding=encoding,
        sample_rate=sample_rate,
        interim_results=partials,
        endpointing_ms=args.endpointing_ms,
        words=args.words,
    )
