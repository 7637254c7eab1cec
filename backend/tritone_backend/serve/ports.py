"""TCP addresses: is one free, which ones are free, which IPv4 address does a host name mean.

Nothing here knows what listens behind a port.
"""

from __future__ import annotations

import errno
import socket

from tritone_backend.serve.errors import ServeError


def resolve_ipv4(host: str) -> str:
    """Turns a host name into the IPv4 address that Triton binds.

    Args:
        host: IPv4 address or host name.

    Returns:
        A dotted address.

    Raises:
        ServeError: the name is unknown or is an IPv6 address (Triton's metrics server does not bind those).
    """
    if ":" in host:
        raise ServeError(f"--host {host} is an IPv6 address; give an IPv4 address, 0.0.0.0 for all of them")
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise ServeError(f"--host {host} is not an address of this machine ({error.strerror})") from None
    return str(found[0][4][0])


def check_free(host: str, port: int, flag: str) -> None:
    """Fails when a server could not listen on the address.

    Args:
        host: IPv4 address to bind.
        port: TCP port.
        flag: the command-line flag that chooses another port, for the message.

    Raises:
        ServeError: the port is taken, privileged, or the address is not this machine's.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the server itself does: connections of its predecessor in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise ServeError(_refusal(host, port, flag, error)) from None


def _refusal(host: str, port: int, flag: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; stop what listens there or choose another with {flag}"
    if error.errno == errno.EACCES:
        return f"port {port} needs root; choose one above 1023 with {flag}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; choose one of its own, or 0.0.0.0, with --host"
    return f"cannot listen on {host}:{port}: {error.strerror}; choose another with {flag} or --host"


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Finds distinct free ports; another program may take one before it is used, so callers retry.

    Args:
        count: how many.
        host: IPv4 address they are to be bound on.

    Returns:
        `count` different port numbers.
    """
    holders = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for holder in holders:
            holder.bind((host, 0))
        return [int(holder.getsockname()[1]) for holder in holders]
    finally:
        for holder in holders:
            holder.close()


def accepts_connections(host: str, port: int, timeout_s: float = 0.5) -> bool:
    """Tells whether something listens on host:port, without a gRPC channel and its back-off."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False
