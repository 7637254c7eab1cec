"""Arguments that `transcribe` and `listen` share, and what they mean for the client.

What only one of them takes is in its own module.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tritone_client._client import Client
from tritone_client._errors import InvalidOption
from tritone_client._options import Options, Timeouts
from tritone_client._tls import Tls
from tritone_client._wire import DEFAULT_ADDRESS, SAMPLE_WIDTH

KEY_VARIABLE = "TRITONE_API_KEY"
TLS_VARIABLE = "TRITONE_TLS"
_TLS_PARTS = {"ca": "ca", "cert": "cert", "key": "key", "name": "server_name"}


def add_stream_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments about the service and about what it is asked for."""
    add = parser.add_argument
    server = os.environ.get("TRITONE_SERVER", DEFAULT_ADDRESS)
    add("--server", metavar="HOST:PORT", default=server, help=f"the service, or several with commas ({server})")
    add("--tls", metavar="on|ca=PEM,...", help="encrypt; ca=PEM to trust, cert=PEM,key=PEM to show")
    add("--api-key-file", metavar="FILE", help=f"the API key (or ${KEY_VARIABLE})")
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
    timeouts = Timeouts(request=request_s, admission=args.wait)
    return Client(addresses, timeout=timeouts, tls=_tls(args), api_key=_api_key(args.api_key_file))


def _tls(args: argparse.Namespace) -> Tls | None:
    chosen = args.tls or os.environ.get(TLS_VARIABLE)
    if chosen is None:
        return None
    if chosen == "on":
        return Tls()
    pairs = [part.partition("=") for part in chosen.split(",")]
    names = [name for name, _, _ in pairs]
    if len(set(names)) < len(names) or not all(name in _TLS_PARTS and value for name, _, value in pairs):
        raise InvalidOption(f"--tls takes 'on', or some of ca=PEM,cert=PEM,key=PEM,name=HOST, not {chosen[:60]!r}")
    return Tls(**{_TLS_PARTS[name]: value for name, _, value in pairs})


def _api_key(path: str | None) -> str | None:
    """The key from a file or the environment: on a command line everybody on the machine could read it."""
    if path is None:
        return os.environ.get(KEY_VARIABLE) or None
    try:
        with Path(path).open(encoding="ascii") as file:
            return file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no key"
        raise InvalidOption(f"--api-key-file {path} cannot be read: {reason}") from None


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
