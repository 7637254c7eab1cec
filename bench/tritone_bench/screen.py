"""What the person at the terminal sees while and after measuring. Files are the business of results and report."""

from __future__ import annotations

import sys
import time

from tritone_bench.level import Level
from tritone_bench.limits import Limit
from tritone_bench.run import Run
from tritone_bench.task import Progress

WIDTH = 100


class Screen:
    """Progress on stderr, overwritten on a terminal; results on stdout."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._shown = False
        self._last = 0.0

    def say(self, text: str) -> None:
        """One line that stays."""
        self.clear()
        sys.stderr.write(f"tritone: {text}\n")
        sys.stderr.flush()

    def show(self, text: str) -> None:
        """One line that the next overwrites; nothing where there is no terminal."""
        if self._live:
            sys.stderr.write("\r" + text[:WIDTH].ljust(WIDTH))
            sys.stderr.flush()
            self._shown = True

    def progress(self, streams: int, seconds: float, progress: Progress) -> None:
        """A load is running."""
        if time.monotonic() - self._last >= 0.4:
            self._last = time.monotonic()
            self.show(
                f"  {streams} streams, {seconds:4.0f} s: {progress.live} live, {progress.answered} answered, "
                f"{progress.late} late, {progress.lost} lost"
            )

    def clear(self) -> None:
        """Take away what is only for the moment."""
        if self._shown:
            sys.stderr.write("\r" + " " * WIDTH + "\r")
            self._shown = False

    def level(self, step: str, level: Level) -> None:
        """A load was measured."""
        self.clear()
        numbers = " " * 50
        if level.chunks:
            numbers = f"{level.chunks_per_s:9.1f} chunks/s   p50 {level.p50_ms:7.1f}   p99 {level.p99_ms:7.1f} ms"
        others = level.usage.other_cores or 0.0
        beside = f" (other programs: {others:.1f} cores)" if others > 0.2 else ""
        sys.stderr.write(f"  {step:8}{level.streams:6} streams {numbers:50}   {level.failed or 'ok'}{beside}\n")
        sys.stderr.flush()


def out(*lines: str) -> None:
    """Results, on stdout."""
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


def summary(run: Run, limit: Limit) -> str:
    """The one screen that a capacity search ends with."""
    level = run.confirmed
    if level is None:
        first = min(run.levels, key=lambda level: level.streams, default=None)
        why = f"{first.streams} stream(s): {first.failed}" if first else "nothing was measured"
        return f"Capacity: 0 live streams. {why}"
    head = (
        f"Capacity: {level.streams} live streams "
        f"(p99 <= {run.threshold_ms:g} ms, no chunk lost, no wrong word; confirmed for {level.seconds:.0f} s)"
    )
    return "\n".join([head, *details(level, run), f"  limit     {limit.why}"])


def details(level: Level, run: Run) -> list[str]:
    """The numbers of one load, one topic a line."""
    usage = level.usage
    lines = [
        f"  rate      {level.chunks_per_s:.1f} chunks/s, SPS {level.sps:.1f}",
        f"  latency   p50 {level.p50_ms:.1f}   p95 {level.p95_ms:.1f}   p99 {level.p99_ms:.1f}   "
        f"p99.9 {level.p999_ms:.1f}   max {level.max_ms:.1f} ms",
        f"  chunks    {level.chunks} due, {level.late} late, {level.lost} lost; {level.checked} calls compared, "
        f"{level.wrong} with wrong words, {level.differing} with other times or partials",
        f"  generator {usage.generator_cores:.2f} cores, own lag p50 {level.lag_p50_ms:.2f}, "
        f"p99 {level.lag_p99_ms:.2f} ms",
    ]
    if usage.service_cores is not None:
        server = usage.server_cores or 0.0
        lines.append(
            f"  CPU       service {usage.service_cores:.2f} of {run.machine.get('cores', '?')} cores "
            f"({server:.2f} gRPC and Triton, {usage.service_cores - server:.2f} model), "
            f"other programs {usage.other_cores or 0.0:.2f}"
        )
    if usage.service_mib:
        per_stream = run.memory_per_stream(level)
        more = f", {per_stream:.2f} MiB per stream" if per_stream is not None else ""
        lines.append(f"  memory    service {usage.service_mib:.0f} MiB{more}")
    if usage.gpu_percent is not None:
        lines.append(f"  GPU       {usage.gpu_percent:.0f} % busy, {usage.gpu_mib or 0:.0f} MiB")
    if usage.batch:
        busy = "" if usage.loop_busy is None else f", the model's loop is busy {usage.loop_busy:.0%}"
        lines.append(f"  steps     {usage.steps_per_s or 0.0:.1f} network steps/s of {usage.batch:.1f} streams{busy}")
    if run.roof_chunks_per_s:
        lines.append(
            f"  roof      {level.chunks_per_s / run.roof_chunks_per_s:.0%} of the engine alone "
            f"({run.roof_chunks_per_s:.0f} chunks/s)"
        )
    if usage.triton_ms:
        parts = "  ".join(f"{part} {mean:.2f}" for part, mean in usage.triton_ms.items())
        lines.append(f"  Triton    mean ms of a request inside it: {parts}")
    if level.stages:
        parts = "  ".join(f"{stage.name} {stage.mean_us / 1e3:.2f}" for stage in level.stages)
        lines.append(f"  stages    mean ms: {parts}")
    return lines
