"""A server for the length of a `with` block: for tests and benchmarks, on free ports of loopback.

Has no watchdog: a server that dies stays dead, so that the caller sees it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tritone_backend.models.registry import find_model
from tritone_backend.serve.errors import ServeError
from tritone_backend.serve.ports import free_ports
from tritone_backend.serve.process import ServerProcess
from tritone_backend.serve.settings import ServeSettings

START_TRIES = 3


@contextlib.contextmanager
def running_server(
    model: str | Path = "default",
    *,
    max_streams: int = 256,
    repository: Path | None = None,
    start_timeout_s: float = 120.0,
    **settings: Any,
) -> Iterator[ServerProcess]:
    """Starts a server on free ports, waits until it answers, and ends it with everything it started.

    Args:
        model: name or folder of the model.
        max_streams: live streams that may be open at once.
        repository: a ready model repository instead of the one rendered from the settings.
        start_timeout_s: seconds to wait for the first answer.
        **settings: other fields of `ServeSettings`; give both `grpc_port` and `metrics_port` or neither.

    Yields:
        The running server; its `address` is what clients take.

    Raises:
        ServeError: it could not be started; the message has the cause.
    """
    fixed_ports = "grpc_port" in settings or "metrics_port" in settings
    ports = {} if fixed_ports else dict(zip(("grpc_port", "metrics_port"), free_ports(2), strict=True))
    chosen = ServeSettings(
        model_dir=find_model(model) if repository is None else Path(model),
        max_streams=max_streams,
        start_timeout_s=start_timeout_s,
        **{"exit_timeout_s": 2, **ports, **settings},
    )
    for attempt in range(START_TRIES):
        server = ServerProcess(chosen, repository, keep_log=False)
        try:
            server.start()
            server.wait_ready()
            break
        except ServeError as error:
            server.kill()
            # Between finding a free port and binding it another program may have taken it.
            if fixed_ports or attempt == START_TRIES - 1 or "in use" not in error.user_message:
                raise
            grpc_port, metrics_port = free_ports(2)
            chosen = replace(chosen, grpc_port=grpc_port, metrics_port=metrics_port)
        except BaseException:
            server.kill()
            raise
    try:
        yield server
    finally:
        server.stop()
