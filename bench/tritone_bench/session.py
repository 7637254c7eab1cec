"""Everything between options and the first measured load: service, calls, references, generators, record."""

from __future__ import annotations

import argparse
import contextlib
import math
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tritone_bench import calls, machine, reference, results
from tritone_bench.errors import BenchError, UsageError
from tritone_bench.fleet import Fleet, Interrupted
from tritone_bench.roof_process import measure_roof
from tritone_bench.run import Run
from tritone_bench.screen import Screen
from tritone_bench.search import Bench
from tritone_bench.service import Service, is_listening, is_local, parse_address, service_at
from tritone_bench.task import Report
from tritone_bench.usage import UsageMeter, total_cores

DEFAULT_SLOTS = 1024
DEFAULT_GPU_SLOTS = 16_384
CALLS, QUICK_CALLS = 12, 6
CALL_S, QUICK_CALL_S = 24.0, 12.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command that puts load on a service."""
    add = parser.add_argument
    add("--server", default="127.0.0.1:8001", metavar="HOST:PORT", help="the service (default 127.0.0.1:8001)")
    add("--metrics-port", type=int, default=8002, metavar="PORT", help="its Prometheus metrics (default 8002)")
    add("--audio", type=Path, metavar="PATH", help="speech to send: file or folder (default: tests/audio)")
    add("--no-pauses", action="store_true", help="the worst case: speech without any pause")
    add("--latency-threshold", type=float, default=100.0, metavar="MS", help="limit of p99 (default 100 ms)")
    add(
        "--max-lag",
        type=float,
        default=5.0,
        metavar="MS",
        help="refuse results when the generator's own p99 lag is above",
    )
    add(
        "--processes", type=int, default=0, metavar="N", help="load generator processes (default: by streams and cores)"
    )
    add(
        "--max-streams",
        type=int,
        default=0,
        metavar="N",
        help="most streams to try, and slots of a service started here",
    )
    add("--model", metavar="NAME|DIR", help="model of a service started here")
    add("--engine", help="engine of a service started here")
    add("--threads", type=int, metavar="N", help="CPU threads of a service started here")
    add("--instances", type=int, metavar="N", help="processes of a service started here that share the streams")
    add(
        "--engine-process",
        metavar="HOW",
        help="of a service started here: an engine each (own), or one for all (shared)",
    )
    add("--admission", metavar="RULE", help="how a service started here admits streams: measured, slots")
    add("--decoder", metavar="NAME", help="how a service started here decodes: auto, greedy, beam")
    add(
        "--roof", type=float, default=0.0, metavar="N", help="chunks/s of the engine alone, where it cannot be measured"
    )
    add("--out", type=Path, metavar="DIR", help="where results go (default bench/results)")
    add("--quick", action="store_true", help="shorter steps: about two minutes in all, less certain")


def check_options(args: argparse.Namespace) -> None:
    """Refuse options that make no sense.

    Raises:
        UsageError: one of them.
    """
    if not 1.0 <= args.latency_threshold <= 10_000.0:
        raise UsageError(f"--latency-threshold {args.latency_threshold:g} is outside 1 to 10000 ms")
    if not (math.isfinite(args.max_lag) and args.max_lag > 0):
        raise UsageError(f"--max-lag {args.max_lag:g} is not a time in ms")
    if not 0 <= args.processes <= 256:
        raise UsageError(f"--processes {args.processes} is outside 0 (choose for me) to 256")
    if not 0 <= args.max_streams <= 65_536:
        raise UsageError(f"--max-streams {args.max_streams} is outside 1 to 65536")
    if not 0 < args.metrics_port < 65_536:
        raise UsageError(f"--metrics-port {args.metrics_port} is not a port")


@dataclass
class Session:
    """What a command works with.

    Attributes:
        args: its options.
        screen: the terminal.
        service: under test.
        fleet: load generators.
        bench: measures single loads.
        calls: with references.
        run: the record, to be filled.
        folder: where it goes.
        max_streams: most streams that make sense to try.
        report: raw data that belongs to `Run.main`.
    """

    args: argparse.Namespace
    screen: Screen
    service: Service
    fleet: Fleet
    bench: Bench
    calls: list[calls.Call]
    run: Run
    folder: Path
    max_streams: int
    report: Report | None = None


@contextlib.contextmanager
def session(args: argparse.Namespace, kind: str, keep: Callable[[Session], None] | None = None) -> Iterator[Session]:
    """Make everything ready, and keep what was measured however the block ends.

    Args:
        args: the command's options.
        kind: of the run.
        keep: writes what the folder shall hold, instead of the usual report; the folder then ends with the kind.

    Raises:
        BenchError: something is missing or went wrong; when loads were measured, a partial report is written first.
    """
    check_options(args)
    host, port = parse_address(args.server)
    screen = Screen()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: partial report, nothing left
    clips = calls.load_clips(args.audio or calls.default_audio())
    spoken = calls.make_calls(
        clips,
        count=QUICK_CALLS if args.quick else CALLS,
        seconds=QUICK_CALL_S if args.quick else CALL_S,
        pauses=not args.no_pauses,
    )
    when = results.now()
    folder = results.prepare_folder(args.out or results.default_folder(), when, kind if keep else "")
    keep = keep or _keep
    slots = args.max_streams or default_slots(machine.machine())
    roof = _roof(args, host, port, screen)
    try:
        with service_at(host, port, args.metrics_port, serve_options(args, slots), screen.say) as service:
            session = _prepared(args, kind, when, screen, service, spoken, folder)
            session.run.roof_chunks_per_s = roof
            with session.fleet:
                try:
                    yield session
                except (BenchError, KeyboardInterrupt) as error:
                    problem = error if isinstance(error, BenchError) else Interrupted()
                    session.run.error = problem.user_message
                    screen.clear()
                    if session.run.levels:
                        keep(session)
                        screen.say(f"partial report: {folder}")
                    raise problem from None
                keep(session)
    except KeyboardInterrupt:
        raise BenchError("interrupted before anything was measured", exit_status=130) from None
    finally:
        screen.clear()
        results.discard_if_empty(folder)


def _prepared(
    args: argparse.Namespace,
    kind: str,
    when: str,
    screen: Screen,
    service: Service,
    spoken: list[calls.Call],
    folder: Path,
) -> Session:
    others = machine.busy_cores()
    if others > 0.25 * total_cores():
        screen.say(
            f"other programs keep {others:.1f} cores of this machine busy: the result will be lower than it could be"
        )
    taken = reference.record(
        service.host,
        service.port,
        spoken,
        {},
        lambda done: screen.show(f"  reference: call {done + 1} of {len(spoken)}, alone on the service"),
    )
    screen.clear()
    slots = int(service.parameters.get("max_streams", "0") or 0)
    run = Run(
        kind=kind,
        when=when,
        host=machine.host_name(),
        command=shlex.join(["tritone", "bench", kind, *_shown(sys.argv)]),
        revision=machine.revision(),
        machine=machine.machine(),
        versions=machine.versions(),
        service={
            "address": service.address,
            "server": service.version,
            "ready": service.ready_line,
            **service.parameters,
            "model": Path(service.parameters.get("model", "")).name,  # a report names no folder of a machine
        },
        settings=_settings(args, spoken),
        threshold_ms=args.latency_threshold,
        reference_ms=taken * 1e3,
        idle_mib=UsageMeter(service.root, "").memory_mib,
    )
    run.service.pop("timing_names", None)
    members = Fleet(service.host, service.port, spoken, {})
    bench = Bench(service, members, args.latency_threshold, args.processes, screen.progress)
    most = args.max_streams or slots or DEFAULT_SLOTS
    return Session(args, screen, service, members, bench, spoken, run, folder, min(most, slots) if slots else most)


def _roof(args: argparse.Namespace, host: str, port: int, screen: Screen) -> float | None:
    """What the engine does alone, as long as no service of this machine uses it."""
    if args.roof:
        return float(args.roof)
    if not is_local(host) or is_listening(host, port):
        return None
    screen.show("  the engine alone, before the service is started")
    gpu = "gpu" in machine.machine()
    found = measure_roof(_engine_options(args), gpu=gpu, seconds=0.7 if args.quick else 2.0)
    screen.clear()
    return found


def default_slots(facts: Mapping[str, str]) -> int:
    """Slots of a service started here when nobody says how many; more than the machine can be expected to carry."""
    return DEFAULT_GPU_SLOTS if "gpu" in facts else DEFAULT_SLOTS


def serve_options(args: argparse.Namespace, slots: int) -> list[str]:
    """Options of `tritone serve` for a service started here."""
    chosen = _given(args, "instances", "engine-process", "admission", "decoder")
    never_wait = ["--drain-timeout", "0"]  # for calls of our own, when it is told to stop
    return ["--max-streams", str(slots), *_engine_options(args), *chosen, *never_wait]


def _engine_options(args: argparse.Namespace) -> list[str]:
    return _given(args, "model", "engine", "threads")


def _given(args: argparse.Namespace, *names: str) -> list[str]:
    """Those options that somebody gave, to be passed on."""
    options = []
    for name in names:
        value = getattr(args, name.replace("-", "_"))
        if value is not None:
            options += [f"--{name}", str(value)]
    return options


def _settings(args: argparse.Namespace, spoken: list[calls.Call]) -> dict[str, str]:
    seconds = [call.seconds for call in spoken]
    return {
        "calls": f"{len(spoken)} of {min(seconds):.0f} to {max(seconds):.0f} s",
        "speech": f"{sum(call.speech_share for call in spoken) / len(spoken):.0%} of the time"
        + (" (no pauses)" if args.no_pauses else ""),
        "chunk": "300 ms, pcm_s16le at 8 kHz, one request in flight per stream",
        "latency": "from the moment a chunk's last sample exists to the arrival of its answer",
        "effort": "quick" if args.quick else "full",
    }


def _shown(argv: list[str]) -> list[str]:
    """The words after the sub-command, with paths cut to their names."""
    words = argv[argv.index("bench") + 2 :] if "bench" in argv else []
    return [Path(word).name if "/" in word else word for word in words]


def _keep(session: Session) -> None:
    if session.report is not None:
        session.run.digest(session.report)
    results.write(session.folder, session.run, session.report)
