"""The command line of tritonserver: which flags Tritone sets and why.

The flags exist in the bundled 2.51 and in newer production containers alike; running them is the work of
`process`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tritone_backend.serve.ports import resolve_ipv4
from tritone_backend.serve.settings import ServeSettings

MIN_POOL = 4096
# Registering shared memory lets a client name any region of the machine, and the others change the running
# server.
RESTRICTED_PROTOCOLS = "shared-memory,model-repository,trace,logging"


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
        f"--grpc-restricted-protocol={RESTRICTED_PROTOCOLS}:tritone-admin={admin_key}",
        # Vanished clients are noticed within a minute, and clients may ping as often as every 5 s.
        "--grpc-keepalive-time=30000",
        "--grpc-keepalive-timeout=20000",
        "--grpc-keepalive-permit-without-calls=1",
        "--grpc-http2-min-recv-ping-interval-without-data=5000",
        "--allow-metrics=true",
        f"--metrics-address={host}",
        f"--metrics-port={settings.metrics_port}",
        "--metrics-config=summary_latencies=true",
        f"--exit-timeout-secs={settings.exit_timeout_s}",
        "--log-info=true",
        "--log-warning=true",
        "--log-error=true",
        "--log-verbose=0",
    ]
