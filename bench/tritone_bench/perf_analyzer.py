"""Runs NVIDIA's perf_analyzer on `streaming_acoustic` with the published options, for comparison; reads its CSV.

Its traps are avoided: it drives 4 sequences unless told otherwise, reports averages, and hangs when the service
dies. What cannot be avoided is that it paces no stream and keeps every tensor in memory.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tritone_bench import machine
from tritone_bench.calls import PERIOD_S
from tritone_bench.errors import BenchError, UsageError
from tritone_bench.rates import parse_range
from tritone_bench.screen import Screen, out
from tritone_bench.service import parse_address, service_at
from tritone_bench.session import check_options, default_slots, serve_options

DEFAULT_RANGE = "64:256:64"
REQUESTS = 5000
QUICK_REQUESTS = 500
SECONDS_PER_RATE = 600.0


def find_program() -> str:
    """Path of perf_analyzer: $PERF_ANALYZER, the one on PATH, or the checkout's script when that has installed it.

    Raises:
        UsageError: there is none.
    """
    chosen = os.environ.get("PERF_ANALYZER") or shutil.which("perf_analyzer")
    if chosen is None:
        script = Path(__file__).resolve().parents[1] / "perf_analyzer.sh"
        chosen = str(script) if _answers(script) else None
    if chosen is None or not Path(chosen).is_file():
        raise UsageError("perf_analyzer is not installed; run bench/perf_analyzer.sh install, or set $PERF_ANALYZER")
    return chosen


def _answers(script: Path) -> bool:
    try:
        return subprocess.run([str(script), "--version"], capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def command(program: str, address: str, rates: str, threshold_ms: float, requests: int, table: Path) -> list[str]:
    """The published command with two additions: as many sequences as the rate needs, and the 99th percentile."""
    sequences = max(4, round(parse_range(rates)[-1] * PERIOD_S))
    return [
        program,
        *("-u", address, "-i", "grpc", "-a", "-m", "streaming_acoustic", "--streaming"),
        "--sequence-length=50",
        "--measurement-mode=count_windows",
        f"--measurement-request-count={requests}",
        f"--request-rate-range={rates}",
        "--stability-percentage=100",
        f"--latency-threshold={threshold_ms:g}",
        f"--num-of-sequences={sequences}",
        "--percentile=99",
        *("-f", str(table), "--verbose-csv"),
    ]


def read_table(table: Path) -> list[dict[str, float]]:
    """Rows of its CSV: numbers by column; the file holds several tables one below the other, the first counts."""
    rows: list[dict[str, float]] = []
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            numbers: dict[str, float] = {}
            for name, text in row.items():
                with contextlib.suppress(TypeError, ValueError):
                    numbers[name] = float(text)
            if "Inferences/Second" in numbers:
                rows.append(numbers)
    return rows


def run(args: argparse.Namespace) -> int:
    """Run it and print its numbers as it publishes them, with the percentile.

    Raises:
        BenchError: it is not there, failed or hung.
    """
    check_options(args)
    program = find_program()
    wanted = args.request_rate_range or DEFAULT_RANGE
    host, port = parse_address(args.server)
    screen = Screen()
    slots = args.max_streams or default_slots(machine.machine())
    requests = QUICK_REQUESTS if args.quick else REQUESTS
    with (
        service_at(host, port, args.metrics_port, serve_options(args, slots), screen.say) as service,
        tempfile.TemporaryDirectory() as folder,
    ):
        table = Path(folder) / "table.csv"
        words = command(program, service.address, wanted, args.latency_threshold, requests, table)
        out("perf_analyzer " + " ".join(words[1:-3]))
        _execute(words, SECONDS_PER_RATE * len(parse_range(wanted)), screen)
        rows = read_table(table) if table.exists() else []
    if not rows:
        raise BenchError("perf_analyzer measured nothing; try a lower --request-rate-range")
    for row in sorted(rows, key=lambda row: row.get("Request Rate", 0.0)):
        out(
            f"Request Rate: {row.get('Request Rate', 0.0):g}, throughput: {row['Inferences/Second']:.3f} infer/sec, "
            f"p50 {row.get('p50 latency', 0.0):.0f} usec, p99 {row.get('p99 latency', 0.0):.0f} usec"
        )
    return 0


def _execute(words: list[str], limit_s: float, screen: Screen) -> None:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        begun = time.monotonic()
        with _ended(process):
            while process.poll() is None:
                if time.monotonic() - begun > limit_s:
                    raise BenchError(f"perf_analyzer hangs: no result after {limit_s:.0f} s")
                screen.show(f"  perf_analyzer, {time.monotonic() - begun:.0f} s")
                time.sleep(0.3)
        screen.clear()
        log.seek(0)
        lines = [line for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
    # It also ends with an error when a rate passed the latency threshold, after it wrote its table.
    if process.returncode not in (0, 99) and not Path(words[-2]).exists():
        raise BenchError(f"perf_analyzer failed: {lines[-1] if lines else process.returncode}")


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
