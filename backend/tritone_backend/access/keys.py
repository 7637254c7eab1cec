"""What an API key looks like, and the TOML file of those that are valid. The file holds hashes only.

A key is ``trt_NAME_SECRET`` with 256 random bits as SECRET. Nobody can guess or search that many, so that one SHA-256
without salt or repetition is enough, and it is cheap enough to be taken on every request.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tritone_backend.errors import BackendError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MODELS = ("streaming_asr", "streaming_acoustic")
MAX_FILE_BYTES = 4 * 2**20
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_TOKEN = re.compile(r"trt_([a-z0-9-]{1,32})_[0-9a-f]{64}")
_HASH = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"name", "sha256", "max_streams", "models", "expires", "created"}


class KeysError(BackendError):
    """The keys file cannot be read or says something impossible."""


@dataclass(frozen=True)
class Key:
    """One entry of the file.

    Attributes:
        name: unique; part of the key itself, so that its entry is found without trying all.
        sha256: of the whole key, 64 hexadecimal digits.
        max_streams: streams open at once, in each of ``models``.
        models: Triton models that the key opens.
        expires: from then on the key is refused; None: never.
        created: when it was made; for people.
    """

    name: str
    sha256: str
    max_streams: int
    models: tuple[str, ...] = ("streaming_asr",)
    expires: datetime | None = None
    created: datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        if not _HASH.fullmatch(self.sha256):
            raise KeysError(f"key {self.name}: sha256 must be 64 hexadecimal digits in lower case")
        if not 1 <= self.max_streams <= 1_000_000:
            raise KeysError(f"key {self.name}: max_streams {self.max_streams} is outside 1 to 1000000")
        unknown = [model for model in self.models if model not in MODELS]
        if unknown or not self.models:
            raise KeysError(f"key {self.name}: models must be some of {', '.join(MODELS)}")


def check_name(name: str) -> None:
    """Raise KeysError when a key cannot have that name."""
    if not _NAME.fullmatch(name):
        raise KeysError(f"{name[:40]!r} is no name of a key: up to 32 of a-z, 0-9 and - inside")


def new_token(name: str) -> str:
    """A fresh key; only its hash is kept."""
    check_name(name)
    return f"trt_{name}_{secrets.token_hex(32)}"


def digest(token: str) -> str:
    """SHA-256 of a key, in hexadecimal digits."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def name_in(token: str) -> str | None:
    """The name that a key claims, or None for what is no key at all."""
    found = _TOKEN.fullmatch(token)
    return found.group(1) if found else None


def parse_keys(text: str) -> dict[str, Key]:
    """Read the file's text.

    Returns:
        Entries by name.

    Raises:
        KeysError: with one line that says which entry is wrong and how.
    """
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise KeysError(f"the keys file is not valid TOML: {str(error)[:200]}") from None
    entries = content.get("key", [])
    if set(content) - {"key"} or not isinstance(entries, list):
        raise KeysError("the keys file must consist of [[key]] entries; 'tritone keys add' writes them")
    keys: dict[str, Key] = {}
    for number, entry in enumerate(entries, 1):
        key = _entry(number, entry)
        if key.name in keys:
            raise KeysError(f"key {key.name} is in the keys file twice; remove one")
        keys[key.name] = key
    return keys


def format_keys(keys: Mapping[str, Key]) -> str:
    """The text of a file with these entries; :func:`parse_keys` reads it."""
    lines = ["# API keys of Tritone: hashes only. 'tritone keys add|list|revoke' edits this file.\n"]
    for key in keys.values():
        lines.append(f'\n[[key]]\nname = "{key.name}"\nsha256 = "{key.sha256}"\nmax_streams = {key.max_streams}\n')
        lines.append(f"models = {json.dumps(list(key.models))}\n")
        for name in ("expires", "created"):
            moment: datetime | None = getattr(key, name)
            if moment is not None:
                lines.append(f"{name} = {moment.isoformat()}\n")
    return "".join(lines)


def _entry(number: int, entry: Any) -> Key:
    if not isinstance(entry, dict) or not {"name", "sha256", "max_streams"} <= entry.keys() <= _FIELDS:
        raise KeysError(f"entry {number} of the keys file must have name, sha256 and max_streams, and may have others")
    models = entry.get("models", ["streaming_asr"])
    if (
        not (isinstance(entry["name"], str) and isinstance(entry["sha256"], str))
        or type(entry["max_streams"]) is not int
        or not (isinstance(models, list) and all(isinstance(model, str) for model in models))
    ):
        raise KeysError(f"entry {number} of the keys file has a field of the wrong type")
    moments = [entry.get("expires"), entry.get("created")]
    for moment in moments:
        if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is None):
            raise KeysError(f"entry {number} of the keys file: times look like 2027-01-31T12:00:00Z")
    return Key(entry["name"], entry["sha256"], entry["max_streams"], tuple(models), *moments)
