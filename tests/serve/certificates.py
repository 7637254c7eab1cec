"""Certificates made on the fly, as the files that an operator has."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import trustme


class Authority:
    """A certificate authority that writes what it issues into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._ca = trustme.CA()
        self._folder = folder
        self.path = self._write(f"{name}-ca.pem", self._ca.cert_pem)

    def issue(self, name: str, *hosts: str, expires: datetime | None = None) -> tuple[Path, Path]:
        """Certificate chain and key for some host names."""
        issued = self._ca.issue_cert(*hosts, not_after=expires)
        cert = self._write(f"{name}.pem", *issued.cert_chain_pems)
        key = self._write(f"{name}.key", issued.private_key_pem)
        key.chmod(0o600)
        return cert, key

    def issue_expired(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """The same, out of date."""
        return self.issue(name, *hosts, expires=datetime(2020, 1, 2, tzinfo=timezone.utc))

    def _write(self, name: str, *blobs: trustme.Blob) -> Path:
        path = self._folder / name
        path.write_bytes(b"".join(blob.bytes() for blob in blobs))
        return path
