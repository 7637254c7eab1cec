"""`tritone serve`: options and nothing more.

The work is done by `supervisor`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tritone_backend.decoding.settings import DECODERS
from tritone_backend.engines.choose import ENGINES

if TYPE_CHECKING:
    from tritone_backend.serve.tls import TlsFiles

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
    add(
        "--instances",
        type=int,
        default=1,
        metavar="N",
        help="processes that share the streams, for a GPU and many cores (default 1)",
    )
    add(
        "--engine-process",
        default="auto",
        metavar="HOW",
        help="shared: one engine process for all of them (default for several); own: an engine in each",
    )
    add("--max-call", type=float, default=14_400.0, metavar="S", help="longest call (default 14400 s)")
    add("--decoder", choices=DECODERS, default="auto", help="default: beam where the model has a language model")
    add("--language-model", type=Path, metavar="FILE", help="KenLM binary or ARPA file in place of the model's own")
    add("--final-deadline", type=int, default=100, metavar="MS", help="a final waits so long for the beam (100)")
    add("--partial-deadline", type=int, default=10, metavar="MS", help="a partial waits so long for the beam (10)")
    add("--host", default="127.0.0.1", help="address of gRPC; 0.0.0.0 for all (default 127.0.0.1)")
    add("--grpc-port", type=int, default=8001, metavar="PORT", help="gRPC (default 8001)")
    add("--metrics-host", default="127.0.0.1", metavar="HOST", help="address of the metrics (default 127.0.0.1)")
    add("--metrics-port", type=int, default=8002, metavar="PORT", help="metrics; 0: off (default 8002)")
    add("--keys", type=Path, metavar="FILE", help="callers need a key of this file ('tritone keys')")
    add("--tls-cert", type=Path, metavar="PEM", help="encrypt; the server's certificate chain")
    add("--tls-key", type=Path, metavar="PEM", help="its private key")
    add("--tls-client-ca", type=Path, metavar="PEM", help="callers need a certificate of this authority")
    add(
        "--admission",
        default="measured",
        metavar="RULE",
        help="measured: also refuse streams that there is no time for (default); slots: go by slots alone",
    )
    add(
        "--drain-timeout",
        type=float,
        default=30.0,
        metavar="S",
        help="when told to stop, let calls finish so long (default 30 s)",
    )
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
        decoder=args.decoder,
        language_model=args.language_model.resolve() if args.language_model else None,
        final_deadline_ms=args.final_deadline,
        partial_deadline_ms=args.partial_deadline,
        instances=args.instances,
        engine_process=args.engine_process,
        max_call_s=args.max_call,
        host=args.host,
        grpc_port=args.grpc_port,
        metrics_host=args.metrics_host,
        metrics_port=args.metrics_port,
        tls=_tls_files(args),
        keys_file=args.keys.absolute() if args.keys else None,
        admission=args.admission,
        drain_timeout_s=args.drain_timeout,
        verbose=args.verbose,
    )
    for warning in settings.exposure():
        print(f"tritone: warning: {warning}", file=sys.stderr)
    return Supervisor(settings).run()


def _tls_files(args: argparse.Namespace) -> TlsFiles | None:
    from tritone_backend.serve.errors import ServeError
    from tritone_backend.serve.tls import TlsFiles

    if args.tls_cert is None and args.tls_key is None:
        if args.tls_client_ca is not None:
            raise ServeError("--tls-client-ca needs --tls-cert and --tls-key: clients are asked over TLS only")
        return None
    if args.tls_cert is None or args.tls_key is None:
        raise ServeError("--tls-cert and --tls-key belong together; give both")
    client_ca = args.tls_client_ca.absolute() if args.tls_client_ca else None
    return TlsFiles(args.tls_cert.absolute(), args.tls_key.absolute(), client_ca)
