"""What a client needs for an encrypted connection: whom it trusts and what it shows. Files are read and checked here.

The connection itself is `_grpc`'s.
"""

from __future__ import annotations

import dataclasses
import ssl
from pathlib import Path
from typing import Any

from tritone_client._errors import InvalidOption

LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """An encrypted connection.

    Attributes:
        ca: PEM file of the authorities to trust; None: those that gRPC trusts by itself.
        cert: PEM file of the certificate to show, for services that ask clients for one.
        key: PEM file of its private key, without a passphrase.
        server_name: name to expect in the service's certificate instead of the address's host.

    Raises:
        InvalidOption: a file is missing, is no PEM, or the key does not belong to the certificate.
    """

    ca: str | Path | None = None
    cert: str | Path | None = None
    key: str | Path | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise InvalidOption("the client's certificate and its key belong together; give both")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca is not None:
            self._examine(self.ca, "authorities", lambda: context.load_verify_locations(str(self.ca)))
        if self.cert is not None:
            pair = (str(self.cert), str(self.key))
            # The callback keeps OpenSSL from asking the terminal for a passphrase.
            self._examine(self.cert, "certificate and key", lambda: context.load_cert_chain(*pair, lambda: b""))

    @staticmethod
    def _examine(path: str | Path, what: str, load: Any) -> None:
        try:
            load()
        except FileNotFoundError:
            raise InvalidOption(f"{what}: no such file as {path}, or the one that belongs to it") from None
        except ssl.SSLError as error:
            reason = (error.reason or "").replace("_", " ").lower() or "not PEM"
            raise InvalidOption(f"{what}: {path} cannot be used ({reason})") from None
        except OSError as error:
            raise InvalidOption(f"{what}: {path} cannot be read ({error.strerror})") from None

    def channel_credentials(self) -> Any:
        """What ``grpc.aio.secure_channel`` takes."""
        import grpc

        return grpc.ssl_channel_credentials(_bytes(self.ca), _bytes(self.key), _bytes(self.cert))

    def channel_options(self) -> tuple[tuple[str, str], ...]:
        """Options that go with them."""
        return (("grpc.ssl_target_name_override", self.server_name),) if self.server_name else ()


def check_key_is_hidden(api_key: str | None, address: str, tls: Tls | None) -> None:
    """Refuse to send an API key where others can read it.

    Raises:
        InvalidOption: the key is none, or it would travel unencrypted to another machine.
    """
    if api_key is None:
        return
    if not api_key or not api_key.isascii() or not api_key.isprintable():
        raise InvalidOption("the API key is empty or has characters that no key has; it looks like trt_NAME_...")
    if tls is None and address.rpartition(":")[0] not in LOOPBACK:
        raise InvalidOption(f"the API key would travel unencrypted to {address}; use TLS (--tls)")


def _bytes(path: str | Path | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
