"""`tritone serve`: options and nothing more.

The work is done by `supervisor`.
"""

from __future__ import annotations

import argparse

from tritone_backend.engines.choose import ENGINES

EXAMPLE = """example:
  tritone serve --max-streams 64
  tritone transcribe call.wav
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `tritone serve`."""
    parser.description = "Serve live speech recognition until interrupted; restarts the server when it fails."
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--model", default="default", metavar="NAME|DIR", help="acoustic model (default: default)")
    add("--engine", choices=ENGINES, default="auto", help="what runs the network (default: the fastest here)")
    add("--max-streams", type=int, default=256, metavar="N", help="live streams at once (default 256)")
    add("--idle-timeout", type=float, default=60.0, metavar="S", help="close a silent stream (default 60 s)")
    add(
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="threads of a CPU engine (default: its own choice)",
    )
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default 127.0.0.1)")
    add("--grpc-port", type=int, default=8001, metavar="PORT", help="gRPC (default 8001)")
    add("--metrics-port", type=int, default=8002, metavar="PORT", help="Prometheus metrics (default 8002)")
    add("--verbose", action="store_true", help="show the server's own log on stderr")


def run(args: argparse.Namespace) -> int:
    """Serves until a signal.

    Returns:
        The exit status.

    Raises:
        BackendError: wrong options, a missing part, or a server that cannot be kept alive.
    """
    from tritone_backend.models.registry import find_model
    from tritone_backend.serve.settings import ServeSettings
    from tritone_backend.serve.supervisor import Supervisor

    settings = ServeSettings(
        model_dir=find_model(args.model),
        engine=args.engine,
        max_streams=args.max_streams,
        idle_timeout_s=args.idle_timeout,
        threads=args.threads,
        host=args.host,
        grpc_port=args.grpc_port,
        metrics_port=args.metrics_port,
        verbose=args.verbose,
    )
    return Supervisor(settings).run()
