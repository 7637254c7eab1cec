"""Processor, memory and GPU use of the service while a load runs. Only for a service on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

import psutil

TRITON_PARTS = {"queue": "queue", "in": "compute_input", "model": "compute_infer", "out": "compute_output"}
"""Of Triton's own durations: waiting for the model's process, copying to it, its work, copying back and answering."""
MODEL_PROCESS = "triton_python_backend_stub"
ENGINE_PROCESS = "tritone_backend.engines.shared.host"
SAMPLE_S = 0.5
DEGRADED = "tritone_degraded_total"
_REASON = re.compile(r'[{,]?reason="([^"]*)"')
_GPU_QUERY = ("--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits")


def listening_process(port: int) -> psutil.Process | None:
    """The process that listens on a TCP port of this machine, as far as this user may see it."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return psutil.Process(connection.pid)
    return None


@dataclass
class _Reading:
    cpu: dict[int, float]  # processor seconds by process id
    models: set[int]  # of them, those that run models
    when: float
    machine: float  # processor seconds of the whole machine, those withheld by its host included
    counters: dict[str, float]


class UsageMeter:
    """Watches one service: `mark` opens and closes the window, `result` says what happened in it.

    Args:
        root: the service's process, or None when it is out of sight.
        metrics_url: Prometheus metrics of the service, or empty.
    """

    def __init__(self, root: psutil.Process | None, metrics_url: str) -> None:
        self._root = root
        self._metrics_url = metrics_url
        self._marks: list[_Reading] = []
        self._memory_mib = 0.0
        self._gpu: list[tuple[float, float]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="usage", daemon=True)
        self._smi = shutil.which("nvidia-smi")

    def __enter__(self) -> UsageMeter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def mark(self) -> None:
        """The window opens, or closes."""
        models: set[int] = set()
        cpu: dict[int, float] = {}
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                cpu[process.pid] = times.user + times.system
                if _runs_models(process):
                    models.add(process.pid)
        self._marks.append(_Reading(cpu, models, time.monotonic(), _busy_s(), self.counters()))

    def counters(self) -> dict[str, float]:
        """The counters of `streaming_asr`, by name (sums over labels) and by "name reason"; empty when out of reach."""
        if not self._metrics_url:
            return {}
        found: dict[str, float] = {}
        try:
            with urllib.request.urlopen(self._metrics_url, timeout=2.0) as answer:  # noqa: S310
                text = answer.read().decode("utf-8", "replace")
        except (OSError, ValueError):
            return {}
        for line in text.splitlines():
            if line.startswith(("tritone_", "nv_inference_")) and 'model="streaming_asr"' in line:
                name, _, value = line.replace("{", " ", 1).partition(" ")
                with contextlib.suppress(ValueError):
                    number = float(value.rsplit(" ", 1)[1])
                    found[name] = found.get(name, 0.0) + number
                    reason = _REASON.search(value)
                    if reason:
                        found[f"{name} {reason[1]}"] = number
        return found

    @property
    def memory_mib(self) -> float | None:
        """Memory of the service now, in MiB."""
        total = 0
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                memory = process.memory_info()
                total += memory.rss - getattr(memory, "shared", 0)
        return total / 2**20 if total else None

    def result(self, generator_cores: float) -> dict[str, Any]:
        """Fields of `level.Usage` that this meter knows; nearly none as long as the window is open."""
        if len(self._marks) < 2:
            return {"generator_cores": generator_cores}
        first, last = self._marks[:2]
        wall = max(1e-9, last.when - first.when)
        spent = {pid: cpu - first.cpu.get(pid, 0.0) for pid, cpu in last.cpu.items()}
        result: dict[str, Any] = {"generator_cores": generator_cores}
        if spent:
            models = first.models | last.models
            result["service_cores"] = sum(spent.values()) / wall
            result["server_cores"] = sum(cpu for pid, cpu in spent.items() if pid not in models) / wall
            result["service_mib"] = self._memory_mib
            result["other_cores"] = max(
                0.0, (last.machine - first.machine - sum(spent.values())) / wall - generator_cores
            )
        if self._gpu:
            result["gpu_percent"] = sum(use for use, _ in self._gpu) / len(self._gpu)
            result["gpu_mib"] = max(memory for _, memory in self._gpu)
        steps = _growth(first.counters, last.counters, "tritone_batches_total")
        chunks = _growth(first.counters, last.counters, "tritone_chunks_total")
        if steps and chunks:
            result["batch"], result["steps_per_s"] = chunks / steps, steps / wall
        result |= _triton_parts(first.counters, last.counters)
        if "tritone_busy_seconds_total" in last.counters:
            result["loop_busy"] = _growth(first.counters, last.counters, "tritone_busy_seconds_total") / wall
        return result

    def _processes(self) -> list[psutil.Process]:
        if self._root is None:
            return []
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return []

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_S):
            if len(self._marks) == 1:
                self._memory_mib = max(self._memory_mib, self.memory_mib or 0.0)
                self._look_at_gpu()

    def _look_at_gpu(self) -> None:
        if self._smi is None or self._root is None:
            return
        with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
            shown = subprocess.run(
                [self._smi, *_GPU_QUERY], capture_output=True, timeout=5, check=True, text=True
            ).stdout
            rows = [[float(cell) for cell in row.split(",")] for row in shown.strip().splitlines()]
            if rows:
                self._gpu.append((sum(row[0] for row in rows) / len(rows), sum(row[1] for row in rows)))


def in_haste(counters: dict[str, float]) -> float:
    """Finals that have greedy words for want of time, of the counters that `UsageMeter.counters` found."""
    if f"{DEGRADED} deadline" not in counters:  # a service that does not say why
        return counters.get(DEGRADED, 0.0)
    return counters[f"{DEGRADED} deadline"] + counters.get(f"{DEGRADED} backlog", 0.0)


def _runs_models(process: psutil.Process) -> bool:
    name = process.name()
    return bool(name) and (MODEL_PROCESS.startswith(name[:15]) or ENGINE_PROCESS in process.cmdline())


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _growth(first: dict[str, float], last: dict[str, float], name: str) -> float:
    return last.get(name, 0.0) - first.get(name, 0.0) if name in first else 0.0


def _triton_parts(first: dict[str, float], last: dict[str, float]) -> dict[str, Any]:
    """Triton's mean milliseconds a request, by part; nothing where it answered nothing or tells nothing."""
    requests = _growth(first, last, "nv_inference_request_success")
    if not requests:
        return {}
    names = {**TRITON_PARTS, "whole": "request"}
    return {
        "triton_ms": {
            part: _growth(first, last, f"nv_inference_{name}_duration_us") / requests / 1e3
            for part, name in names.items()
        }
    }


def total_cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0))
