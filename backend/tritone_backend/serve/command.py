"""The command line of tritonserver: which flags Tritone sets and why.

The flags exist in the bundled 2.51 and in newer production containers alike; running them is the work of
`process`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tritone_backend.access.guard import KEYS_VARIABLE, PARAMETER, PROBE_VARIABLE
from tritone_backend.serve.credentials import Credentials
from tritone_backend.serve.ports import resolve_ipv4
from tritone_backend.serve.settings import ServeSettings

MIN_POOL = 4096
# Registering shared memory lets a client name any region of the machine, and the others change the running
# server.
RESTRICTED_PROTOCOLS = "shared-memory,model-repository,trace,logging"
# Where callers need keys, those without one learn nothing of paths, settings and traffic either.
RESTRICTED_WITH_KEYS = f"{RESTRICTED_PROTOCOLS},model-config,statistics"


@dataclass(frozen=True)
class ServerPaths:
    """Folders a server is started with.

    Attributes:
        binary: the tritonserver executable.
        backends: folder that holds `python/`.
        repository: model repository.
    """

    binary: Path
    backends: Path
    repository: Path


def allocation_pool_size(max_streams: int) -> int:
    """Requests whose objects stay allocated: the next power of two of 4 per stream, 4096 at least.

    Below the number in flight, streaming clients that vanish bring Triton 2.41 to 2.51 down (measured).
    """
    return max(MIN_POOL, 1 << (4 * max_streams - 1).bit_length())


def server_command(settings: ServeSettings, paths: ServerPaths, shm_prefix: str, admin_key: str) -> list[str]:
    """Builds the argument list.

    Args:
        settings: the operator's choices.
        paths: folders of this start.
        shm_prefix: begins the names of the Python backend's shared memory regions, so that they can be told
            apart.
        admin_key: secret without which the administrative protocols are refused.

    Returns:
        The whole argv of tritonserver.

    Raises:
        ServeError: the host is unknown.
    """
    host = resolve_ipv4(settings.host)
    restricted = RESTRICTED_PROTOCOLS if settings.keys_file is None else RESTRICTED_WITH_KEYS
    return [
        str(paths.binary),
        f"--model-repository={paths.repository}",
        f"--backend-directory={paths.backends}",
        f"--backend-config=python,shm-region-prefix-name={shm_prefix}",
        "--disable-auto-complete-config",
        "--allow-http=false",
        "--allow-grpc=true",
        f"--grpc-address={host}",
        f"--grpc-port={settings.grpc_port}",
        f"--grpc-infer-allocation-pool-size={allocation_pool_size(settings.max_streams)}",
        f"--grpc-restricted-protocol={restricted}:tritone-admin={admin_key}",
        # Vanished clients are noticed within a minute, and clients may ping as often as every 5 s.
        "--grpc-keepalive-time=30000",
        "--grpc-keepalive-timeout=20000",
        "--grpc-keepalive-permit-without-calls=1",
        "--grpc-http2-min-recv-ping-interval-without-data=5000",
        *_metrics(settings),
        *_encryption(settings),
        *([f"--grpc-header-forward-pattern=^{PARAMETER}$"] if settings.keys_file else []),
        f"--exit-timeout-secs={settings.exit_timeout_s}",
        "--log-info=true",
        "--log-warning=true",
        "--log-error=true",
        "--log-verbose=0",
    ]


def _metrics(settings: ServeSettings) -> list[str]:
    if not settings.metrics_port:
        return ["--allow-metrics=false"]
    return [
        "--allow-metrics=true",
        f"--metrics-address={resolve_ipv4(settings.metrics_host)}",
        f"--metrics-port={settings.metrics_port}",
    ]


def _encryption(settings: ServeSettings) -> list[str]:
    """TLS by Triton itself; `process` adds the authorities of clients."""
    tls = settings.tls
    if tls is None:
        return []
    kind = "--grpc-use-ssl=true" if tls.client_ca is None else "--grpc-use-ssl-mutual=true"
    return [kind, f"--grpc-server-cert={tls.cert}", f"--grpc-server-key={tls.key}"]


def client_authorities(settings: ServeSettings, credentials: Credentials, folder: Path) -> list[str]:
    """Writes the authorities of clients to ``folder``: the operator's and the health check's own certificate.

    Returns:
        The flag that names the file; none when clients need no certificate.
    """
    tls = settings.tls
    if tls is None or tls.client_ca is None:
        return []
    bundle = folder / "client-ca.pem"
    bundle.write_text(f"{tls.client_ca.read_text().rstrip()}\n{credentials.cert}")
    return [f"--grpc-root-cert={bundle}"]


def model_environment(
    settings: ServeSettings, credentials: Credentials, folder: Path, restarts: int = 0, board: Path | None = None
) -> dict[str, str]:
    """What the models find in their environment: secrets are not for a command line or a model's configuration."""
    own = {
        "TRITONE_FLIGHT_DIR": str(folder),
        "TRITONE_ADMIN_KEY": credentials.admin,
        "TRITONE_RESTARTS": str(restarts),
        "TRITONE_BOARD": str(board or ""),
    }
    if settings.keys_file is not None:
        own |= {KEYS_VARIABLE: str(settings.keys_file), PROBE_VARIABLE: credentials.token_sha256}
    return own
