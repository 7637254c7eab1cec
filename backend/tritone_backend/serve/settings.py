"""Everything an operator chooses about one server, checked once, in one frozen record.

Where parts are found (`locate`), what the command line looks like (`command`) and the models' own config live
elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from tritone_backend.decoding.settings import DECODERS
from tritone_backend.engines.choose import ENGINES
from tritone_backend.serve.errors import ServeError
from tritone_backend.serve.tls import TlsFiles

MAX_STREAMS_LIMIT = 65_536
MAX_INSTANCES = 64
ENGINE_PROCESSES = ("auto", "own", "shared")
LOOPBACK = ("127.0.0.1", "localhost")
PROBE_SLOTS = 1
ADMISSIONS = ("measured", "slots")


@dataclass(frozen=True)
class ServeSettings:
    """One server's settings.

    Attributes:
        model_dir: folder with model.toml and the weights it names.
        engine: one of `engines.choose.ENGINES`.
        max_streams: live streams that may be open at once; one more is refused.
        idle_timeout_s: seconds without a request after which a stream is closed and its slot freed.
        threads: threads of a CPU engine; 0 leaves the choice to the engine.
        decoder: one of `decoding.settings.DECODERS`.
        language_model: file that stands in for the acoustic model's own language model.
        final_deadline_ms: how long a final waits for the beam search before it stays greedy.
        partial_deadline_ms: how long a partial waits for it before it shows what was known before.
        instances: processes that run the speech model, each with an equal share of the streams, rounded up.
        engine_process: ``own``: each has an engine; ``shared``: one engine in a process of its own serves all;
            ``auto``: shared by several instances.
        max_call_s: seconds after which a stream takes no more audio.
        host: IPv4 address or name that gRPC listens on.
        grpc_port: TCP port of gRPC.
        metrics_host: IPv4 address or name that the metrics listen on.
        metrics_port: TCP port of the Prometheus metrics; 0 switches them off.
        tls: certificates of an encrypted server; None: not encrypted.
        keys_file: API keys, one of which every caller must have; None: everybody may call.
        verbose: send the server's log to stderr instead of a file.
        start_timeout_s: seconds until the first answer; building an engine for a GPU can take minutes.
        admission: ``measured`` refuses streams for which there is a slot and no time, ``slots`` goes by slots alone.
        drain_timeout_s: seconds that running streams are given when the server is to stop; their clients move those
            that are left to another server.
        exit_timeout_s: seconds that requests in flight are given when the server is asked to stop.
        runtime_dir: folder for the rendered model repository and the log; None chooses one for this user.
    """

    model_dir: Path
    engine: str = "auto"
    max_streams: int = 256
    idle_timeout_s: float = 60.0
    threads: int = 0
    decoder: str = "auto"
    language_model: Path | None = None
    final_deadline_ms: int = 100
    partial_deadline_ms: int = 10
    instances: int = 1
    engine_process: str = "auto"
    max_call_s: float = 14_400.0
    host: str = "127.0.0.1"
    grpc_port: int = 8001
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 8002
    tls: TlsFiles | None = None
    keys_file: Path | None = None
    verbose: bool = False
    start_timeout_s: float = 900.0
    admission: str = "measured"
    drain_timeout_s: float = 30.0
    exit_timeout_s: int = 10
    runtime_dir: Path | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise ServeError(f"engine {self.engine!r} does not exist; --engine takes {', '.join(ENGINES)}")
        if not 1 <= self.max_streams <= MAX_STREAMS_LIMIT:
            raise ServeError(f"--max-streams {self.max_streams} is outside 1 to {MAX_STREAMS_LIMIT}")
        if not (math.isfinite(self.idle_timeout_s) and 1.0 <= self.idle_timeout_s <= 86_400.0):
            raise ServeError(f"--idle-timeout {self.idle_timeout_s:g} is outside 1 to 86400 seconds")
        if self.decoder not in DECODERS:
            raise ServeError(f"decoder {self.decoder!r} does not exist; --decoder takes {', '.join(DECODERS)}")
        if self.decoder == "greedy" and self.language_model:
            raise ServeError("--decoder greedy uses no language model; leave --language-model or --decoder out")
        for flag, waited in (
            ("--final-deadline", self.final_deadline_ms),
            ("--partial-deadline", self.partial_deadline_ms),
        ):
            if not 0 <= waited <= 60_000:
                raise ServeError(f"{flag} {waited} is outside 0 to 60000 ms")
        if not 0 <= self.threads <= 1024:
            raise ServeError(f"--threads {self.threads} is outside 0 (the engine's own choice) to 1024")
        if self.engine_process not in ENGINE_PROCESSES:
            raise ServeError(f"--engine-process {self.engine_process!r} is not one of {', '.join(ENGINE_PROCESSES)}")
        most = min(MAX_INSTANCES, self.max_streams)
        if not 1 <= self.instances <= most:
            raise ServeError(f"--instances {self.instances} is outside 1 to {most} (with {self.max_streams} streams)")
        if not (math.isfinite(self.max_call_s) and 1.0 <= self.max_call_s <= 604_800.0):
            raise ServeError(f"--max-call {self.max_call_s:g} is outside 1 to 604800 seconds")
        if self.admission not in ADMISSIONS:
            raise ServeError(f"--admission {self.admission!r} does not exist; it takes {', '.join(ADMISSIONS)}")
        if not (math.isfinite(self.drain_timeout_s) and 0.0 <= self.drain_timeout_s <= 86_400.0):
            raise ServeError(f"--drain-timeout {self.drain_timeout_s:g} is outside 0 to 86400 seconds")
        for flag, port, least in (("--grpc-port", self.grpc_port, 1), ("--metrics-port", self.metrics_port, 0)):
            if not least <= port <= 65_535:
                raise ServeError(f"{flag} {port} is outside {least} to 65535")
        if self.grpc_port == self.metrics_port:
            raise ServeError(f"--grpc-port and --metrics-port are both {self.grpc_port}; choose two ports")

    @property
    def shares_engine(self) -> bool:
        """Whether one engine process serves all instances, which took half the latency of an engine each."""
        return self.engine_process == "shared" or (self.engine_process == "auto" and self.instances > 1)

    @property
    def model_name(self) -> str:
        """Name of the acoustic model: its folder's name."""
        return self.model_dir.name

    @property
    def address(self) -> str:
        """host:port at which a client on this machine reaches gRPC."""
        return f"{self.local_host}:{self.grpc_port}"

    @property
    def local_host(self) -> str:
        """The host to connect to from this machine: loopback when the server listens everywhere."""
        return "127.0.0.1" if self.host in {"0.0.0.0", ""} else self.host  # noqa: S104

    @property
    def grpc_url(self) -> str:
        """What the ready line shows for gRPC."""
        return f"{'grpcs' if self.tls else 'grpc'}://{self.host}:{self.grpc_port}"

    @property
    def metrics_url(self) -> str:
        """Where Prometheus scrapes; empty when metrics are off."""
        return f"http://{self.metrics_host}:{self.metrics_port}/metrics" if self.metrics_port else ""

    def exposure(self) -> list[str]:
        """One line about each way in which somebody beyond this machine could use or read the service."""
        if self.host in LOOPBACK:
            return []
        warnings = []
        if self.tls is None:
            warnings.append("calls travel unencrypted beyond this machine: add --tls-cert and --tls-key")
        if self.keys_file is None and (self.tls is None or self.tls.client_ca is None):
            warnings.append(f"whoever reaches {self.host}:{self.grpc_port} may use it: add --keys or --tls-client-ca")
        return warnings
