"""The check that every request passes when the service has keys: whose is it, and may they do this?

Runs before a request is queued, so that nobody without a key costs the batch loop anything. Streams per key are counted
in `admission`.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, MutableMapping
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import Any

from tritone_backend.access.caller import Caller
from tritone_backend.access.keyfile import WatchedKeys
from tritone_backend.access.keys import digest, name_in
from tritone_backend.errors import Code, StreamError

KEYS_VARIABLE = "TRITONE_KEYS"
PROBE_VARIABLE = "TRITONE_PROBE_SHA256"
PARAMETER = "authorization"
"""Triton forwards the gRPC metadata of this name as a request parameter (``--grpc-header-forward-pattern``)."""

_SCHEME = "Bearer "
_NO_DIGEST = "0" * 64


class Guard:
    """Checks keys for one Triton model.

    Args:
        model: the Triton model's name.
        keys: the valid keys.
        probe_sha256: hash of the secret with which the service's own health check comes; empty: it has none.
        now: the wall clock, for expiry.
        instances: processes that serve the model. Triton spreads streams evenly, and each process counts its own, so
            that each allows a key its share, rounded up.
    """

    def __init__(
        self,
        model: str,
        keys: WatchedKeys,
        probe_sha256: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        instances: int = 1,
    ) -> None:
        self._model = model
        self._keys = keys
        self._probe_sha256 = probe_sha256 or _NO_DIGEST
        self._now = now
        self._instances = instances

    @classmethod
    def from_environment(cls, model: str, complain: Callable[[str], None], instances: int = 1) -> Guard | None:
        """The guard that ``tritone serve`` asked for, or None when the service has no keys.

        Raises:
            KeysError: the keys file is missing or wrong.
        """
        path = os.environ.get(KEYS_VARIABLE)
        if not path:
            return None
        probe_sha256 = os.environ.get(PROBE_VARIABLE, "")
        return cls(model, WatchedKeys(Path(path), complain), probe_sha256, instances=instances)

    def check(self, parameters: MutableMapping[str, Any]) -> Caller:
        """Take the key out of a request's parameters and say whose it is.

        The digest is compared in constant time, and a name that does not exist costs the same as a wrong secret.

        Raises:
            StreamError: ``unauthenticated`` (no key, or none that is valid) or ``forbidden`` (not for this model). The
                message never repeats what was sent.
        """
        value = parameters.pop(PARAMETER, None)
        if not isinstance(value, str) or not value.startswith(_SCHEME):
            raise StreamError(
                Code.UNAUTHENTICATED,
                "this service asks for an API key: send gRPC metadata 'authorization: Bearer KEY'",
            )
        token = value[len(_SCHEME) :].strip()
        sent = digest(token)
        if hmac.compare_digest(sent, self._probe_sha256):
            if parameters.get("probe") is True:
                return Caller("health-check", 1)
            raise StreamError(Code.FORBIDDEN, "the health check's key opens no streams: use an API key")
        name = name_in(token)
        key = self._keys.current(monotonic()).get(name) if name else None
        known = hmac.compare_digest(sent, key.sha256 if key else _NO_DIGEST)
        if key is None or not known:
            raise StreamError(
                Code.UNAUTHENTICATED, "this API key is not valid here: it is wrong or was revoked; ask for a new one"
            )
        if key.expires is not None and self._now() >= key.expires:
            raise StreamError(
                Code.UNAUTHENTICATED, f"API key {key.name} expired on {key.expires:%Y-%m-%d}: ask for a new one"
            )
        if self._model not in key.models:
            raise StreamError(
                Code.FORBIDDEN, f"API key {key.name} is not for {self._model} but for {', '.join(key.models)}"
            )
        return Caller(key.name, -(-key.max_streams // self._instances))
