"""`tritone keys`: make, list and revoke API keys. The running service takes changes up within a second."""

from __future__ import annotations

import argparse
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

from tritone_backend.access.keyfile import edit_keys, read_keys
from tritone_backend.access.keys import MODELS, Key, KeysError, check_name, digest, new_token

FILE_VARIABLE = "TRITONE_KEYS_FILE"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.description = "API keys of the service. The file holds hashes; a key is shown once, when it is made."
    parser.epilog = """example:
  tritone keys add call-centre --max-streams 40 --days 365
  tritone serve --keys ~/.config/tritone/keys.toml --tls-cert server.pem --tls-key server.key
  tritone keys revoke call-centre"""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--file", type=Path, default=default_file(), help="the keys file (%(default)s)")
    commands = parser.add_subparsers(dest="action", required=True, metavar="add|list|revoke")
    add = commands.add_parser("add", parents=[shared], help="make a key and show it, this once")
    add.add_argument("name", metavar="NAME", help="whose key it is: a-z, 0-9 and -")
    add.add_argument("--max-streams", type=int, default=16, metavar="N", help="streams open at once (16)")
    add.add_argument("--days", type=float, metavar="D", help="expires after so many days (never)")
    add.add_argument(
        "--model", action="append", choices=MODELS, dest="models", help="what it opens (streaming_asr); repeatable"
    )
    commands.add_parser("list", parents=[shared], help="names, limits and ages; no secrets")
    revoke = commands.add_parser("revoke", parents=[shared], help="make a key worthless; its streams end too")
    revoke.add_argument("name", metavar="NAME")


def default_file() -> Path:
    """``$TRITONE_KEYS_FILE``, or ``keys.toml`` in this user's configuration folder."""
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "tritone" / "keys.toml"


def run(args: argparse.Namespace) -> int:
    """Do what was asked.

    Returns:
        0.

    Raises:
        KeysError: the file or a value is wrong.
    """
    if args.action == "add":
        _add(args)
    elif args.action == "revoke":
        with edit_keys(args.file) as keys:
            if keys.pop(args.name, None) is None:
                raise KeysError(f"there is no key {args.name[:40]!r} in {args.file}; 'tritone keys list' shows them")
        print(f"revoked {args.name}; a running service refuses it within a second")
    else:
        _list(args.file)
    return 0


def _add(args: argparse.Namespace) -> None:
    check_name(args.name)
    now = datetime.now(timezone.utc).replace(microsecond=0)
    expires = None
    if args.days is not None:
        if not 0 < args.days <= 36_500:
            raise KeysError(f"--days {args.days:g} is outside 0 to 36500")
        expires = now + timedelta(days=args.days)
    token = new_token(args.name)
    models = tuple(dict.fromkeys(args.models or ["streaming_asr"]))
    key = Key(args.name, digest(token), args.max_streams, models, expires, now)
    with edit_keys(args.file) as keys:
        if args.name in keys:
            raise KeysError(f"there is a key {args.name} already; revoke it first, or choose another name")
        keys[args.name] = key
    print(token)


def _list(path: Path) -> None:
    keys = read_keys(path)
    print(f"{'name':32} {'streams':>7}  {'expires':10}  {'created':10}  models")
    for key in keys.values():
        moments = [f"{moment:%Y-%m-%d}" if moment else "-" for moment in (key.expires, key.created)]
        print(f"{key.name:32} {key.max_streams:7}  {moments[0]:10}  {moments[1]:10}  {', '.join(key.models)}")
