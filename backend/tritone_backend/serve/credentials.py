"""What health checks and drains need to get in; kept in a file that only its owner reads.

`tritone serve` writes it for the container's health check and for `tritone drain`, processes of their own, and removes
it when it ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tritone_backend.serve.tls import TlsFiles, probe_identity


@dataclass(frozen=True)
class Credentials:
    """How to reach one server.

    Attributes:
        root: PEM of the certificate to trust, the server's own; empty: the server is not encrypted.
        server_name: a name in that certificate.
        cert, key: PEM of the certificate to show and its key; empty: none is asked for.
        token: secret that the models accept for a health check and nothing else; empty: they ask for none.
        admin: secret that the models accept for a drain; whoever can read the file may drain the server.
    """

    root: str = ""
    server_name: str = ""
    cert: str = ""
    key: str = ""
    token: str = ""
    admin: str = ""

    @classmethod
    def make(cls, tls: TlsFiles | None, *, keys: bool) -> Credentials:
        """Fresh ones for a server with these files, whose models ask for keys or not.

        Raises:
            ServeError: a file is wrong.
        """
        token, admin = secrets.token_hex(32) if keys else "", secrets.token_hex(32)
        if tls is None:
            return cls(token=token, admin=admin)
        name = tls.check()
        cert, key = probe_identity() if tls.client_ca else (b"", b"")
        return cls(tls.cert.read_text(), name, cert.decode(), key.decode(), token, admin)

    @property
    def token_sha256(self) -> str:
        """What the models are told of the token; empty without one."""
        return hashlib.sha256(self.token.encode()).hexdigest() if self.token else ""

    def client_arguments(self) -> dict[str, Any]:
        """Keyword arguments of ``tritonclient.grpc.InferenceServerClient``."""
        if not self.root:
            return {}
        import grpc

        shown = (self.key.encode(), self.cert.encode()) if self.cert else (None, None)
        options = [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []
        return {"creds": grpc.ssl_channel_credentials(self.root.encode(), *shown), "channel_args": options}

    def headers(self) -> dict[str, str]:
        """Metadata of a gRPC request."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    def save(self, path: Path) -> None:
        """Write them where :meth:`load` finds them, readable by the owner alone."""
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file)

    @classmethod
    def load(cls, path: Path) -> Credentials:
        """Those of a running server, or empty ones when it left none."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return cls()


def credentials_file(folder: Path, grpc_port: int) -> Path:
    """Where the server on that port keeps them."""
    return folder / f"health-{grpc_port}.json"
