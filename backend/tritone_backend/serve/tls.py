"""Certificates of the server: checked before it starts, so that what is wrong with one is told in one line.

Triton does the encryption. The health check's own certificate is made here; `credentials` carries it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from tritone_backend.serve.errors import ServeError

if TYPE_CHECKING:
    from cryptography import x509

PROBE_NAME = "tritone health check"
_PROBE_DAYS = 3650


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of an encrypted server.

    Attributes:
        cert: the server's certificate, followed by those between it and its authority.
        key: its private key, without a passphrase.
        client_ca: authorities whose certificates clients must show; None lets every client connect.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None

    def check(self, now: datetime | None = None) -> str:
        """Make sure that the files exist, belong together and are valid today.

        Returns:
            A name that the server's certificate is for; empty when it has none.

        Raises:
            ServeError: with one line about the first thing that is wrong.
        """
        now = now or datetime.now(timezone.utc)
        server = _certificates(self.cert, "--tls-cert", now)[0]
        if _public_half(self.key) != _spki(server):
            raise ServeError(f"--tls-key {self.key} does not belong to the certificate {self.cert}; give its own key")
        if self.client_ca is not None:
            _certificates(self.client_ca, "--tls-client-ca", now)
        return _name_in(server)


def probe_identity() -> tuple[bytes, bytes]:
    """A fresh certificate for the health check of a server that asks clients for one, and its key, as PEM.

    It signs itself and can sign nothing else, and it is trusted by the one server that it is made for.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, PROBE_NAME)])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_PROBE_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), secret


def _read(path: Path, flag: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ServeError(f"{flag} {path}: there is no such file") from None
    except OSError as error:
        raise ServeError(f"{flag} {path} cannot be read: {error.strerror}") from None


def _certificates(path: Path, flag: str, now: datetime) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(_read(path, flag))
    except ValueError:
        raise ServeError(f"{flag} {path} holds no certificate in PEM form") from None
    for certificate in found:
        begin, end = _validity(certificate)
        if now >= end:
            raise ServeError(f"the certificate in {flag} {path} expired on {end:%Y-%m-%d}; renew it")
        if now < begin:
            raise ServeError(f"the certificate in {flag} {path} is not valid before {begin:%Y-%m-%d %H:%M} UTC")
    return found


def _validity(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def _spki(certificate: x509.Certificate) -> bytes:
    return _encoded(certificate.public_key)


def _public_half(path: Path) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read(path, "--tls-key")
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise ServeError(f"--tls-key {path} is locked by a passphrase; store it without one, readable by you") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ServeError(f"--tls-key {path} holds no private key in PEM form") from None
    return _encoded(key.public_key)


def _encoded(public_key: Callable[[], object]) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = public_key()
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded


def _name_in(certificate: x509.Certificate) -> str:
    """A name that clients may expect: the first of the alternative names, or the common name."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)]
    except (x509.ExtensionNotFound, ValueError):
        found = []
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    found += [str(attribute.value) for attribute in common]
    return found[0].replace("*.", "any.", 1) if found else ""
