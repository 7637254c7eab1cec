"""The commands against a real tritonserver, with a network that babbles: whole processes, exit status, leftovers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tritone_backend.serve import running_server
from tritone_backend.serve.ports import free_ports

from tests.bench.babble_model import write_model

pytestmark = [pytest.mark.triton]
TRITONE = str(Path(sys.executable).with_name("tritone"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "babble")


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[list[str]]:
    """Options that lead to a running server of 24 slots."""
    with running_server(model, max_streams=24, idle_timeout_s=2.0) as running:
        yield ["--server", running.address, "--metrics-port", str(running.settings.metrics_port)]


def bench(*words: str, out: Path, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    command = [TRITONE, "bench", *words, "--quick", "--max-lag", "60", "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def only_run(out: Path) -> dict[str, object]:
    (folder,) = out.iterdir()
    assert {path.name for path in folder.iterdir()} >= {"run.json", "report.md", "report.html"}
    found: dict[str, object] = json.loads((folder / "run.json").read_text())
    return found


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failure ends with."""
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def children_named(*names: str) -> set[int]:
    return {p.pid for p in psutil.process_iter(["name"]) if any(name in (p.info["name"] or "") for name in names)}


def test_a_load_is_held_and_its_words_are_right(server: list[str], tmp_path: Path) -> None:
    done = bench("load", "--streams", "12", "--seconds", "5", "--latency-threshold", "250", *server, out=tmp_path)
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path)
    level = run["confirmed"]
    assert isinstance(level, dict)
    assert level["chunks"] == pytest.approx(200, abs=15)
    assert (level["lost"], level["wrong"]) == (0, 0)
    assert level["checked"] >= 12
    # The stages are the service's own, and they do not take longer than the chunk.
    names = [stage["name"] for stage in level["stages"]]
    assert names[:2] == ["transport", "queue"]
    assert "network" in names
    assert sum(stage["mean_us"] for stage in level["stages"]) < 1.1e3 * level["mean_ms"] + 5e3
    assert level["usage"]["service_cores"] > 0.0
    # Batches and chunks are published one after the other, every half second: a look between them is one tick askew.
    assert level["usage"]["batch"] == pytest.approx(1.0, abs=0.25) or level["usage"]["batch"] > 1.0
    # Triton's own durations are parts of the whole, and the whole is within what the caller waited.
    inside = dict(level["usage"]["triton_ms"])
    whole = inside.pop("whole")
    assert set(inside) == {"queue", "in", "model", "out"}
    assert 0.0 < sum(inside.values()) <= 1.02 * whole
    assert whole < 1.1 * level["mean_ms"] + 5.0
    assert "chunks/s" in done.stdout


def test_capacity_up_to_the_slots(model: Path, tmp_path: Path) -> None:
    """Starts a service of its own, ends it, and says that nothing but the number of slots limits."""
    grpc_port, metrics_port = free_ports(2)
    words = ["--server", f"127.0.0.1:{grpc_port}", "--metrics-port", str(metrics_port)]
    words += ["--model", str(model), "--max-streams", "10", "--latency-threshold", "250"]
    before = children_named("tritonserver", "triton_python")
    done = bench("capacity", *words, out=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Capacity: 10 live streams", done.stdout, re.MULTILINE)
    assert "the most that were tried" in done.stdout
    run = only_run(tmp_path)
    assert str(tmp_path) not in json.dumps(run["command"]), "no path of the machine in what is published"
    assert not children_named("tritonserver", "triton_python") - before


def test_more_streams_than_slots(server: list[str], tmp_path: Path) -> None:
    done = bench("load", "--streams", "30", "--seconds", "2", *server, out=tmp_path)
    assert done.returncode == 1
    assert re.search(r"too much for this service: \d+ streams were refused: no free slot: 24 of 24", complaint(done))
    assert only_run(tmp_path)["error"]


def test_rates_in_the_published_form(server: list[str], tmp_path: Path) -> None:
    done = bench("capacity", "--request-rate-range", "10:20:10", *server, out=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^Request Rate: (\d+), throughput: ([\d.]+) infer/sec, latency (\d+) usec", done.stdout, re.M)
    assert [row[0] for row in rows] == ["10", "20"]
    assert all(float(rate) == pytest.approx(float(found), rel=0.1) for rate, found, _ in rows)


def test_a_short_soak(server: list[str], tmp_path: Path) -> None:
    """Everything but the shape of half a minute's latency, which on a busy machine is anybody's."""
    words = ["soak", "--capacity", "20", "--seconds", "20", "--warm-up", "8", "--call-seconds", "4"]
    done = bench(*words, *server, out=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    (folder,) = tmp_path.iterdir()
    assert folder.name.endswith("-soak")
    assert {path.name for path in folder.iterdir()} == {
        *("soak.json", "intervals.csv", "samples.csv", "soak.svg", "report.html", "report.md")
    }
    soak = json.loads((folder / "soak.json").read_text())
    checks = {check["name"]: check for check in soak["verdict"]}
    of_time = {"flat: p50 of an interval", "flat: p99 of an interval", "p99 of all chunks", "load was carried"}
    assert not [check for name, check in checks.items() if not check["passed"] and name not in of_time], done.stdout
    assert {"flat: MiB streaming_asr", "flat: files tritonserver", "flat: threads tritonserver"} <= set(checks)
    assert {"slots return", "only the vanished were reaped", "flat: shared MiB"} <= set(checks)
    assert soak["guests"]["vanished"] >= 1
    assert soak["after"]["reaped"] == soak["guests"]["vanished"]
    assert soak["calls"] > 50


def test_a_soak_fails_when_the_server_dies_in_it_and_says_why(model: Path, tmp_path: Path) -> None:
    grpc_port, metrics_port = free_ports(2)
    words = ["--server", f"127.0.0.1:{grpc_port}", "--metrics-port", str(metrics_port), "--model", str(model)]
    command = [TRITONE, "bench", "soak", "--capacity", "8", "--seconds", "60", "--quick", *words]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_load(process, metrics_port, 3)
    (server,) = [p for p in psutil.Process(process.pid).children(recursive=True) if p.name() == "tritonserver"]
    server.kill()
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.search(r"restarted under load: .*event=restart reason=server-died .*SIGKILL", stderr)
    assert re.match(r"Soak FAILED: .*no chunk lost.*same processes", stdout)
    assert re.search(r"NOT .*no trouble inside: .*restarts 1", stdout)


def test_a_server_that_is_killed_in_the_middle(model: Path, tmp_path: Path) -> None:
    with running_server(model, max_streams=24) as running:
        words = ["--server", running.address, "--metrics-port", str(running.settings.metrics_port), "--quick"]
        command = [TRITONE, "bench", "load", "--streams", "6", "--seconds", "60", *words, "--out", str(tmp_path)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        wait_for_load(process, running.settings.metrics_port, 6)
        time.sleep(5.0)
        running.kill()
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "the connection to the service broke" in stderr.strip().splitlines()[-1]
    assert "Traceback" not in stderr
    assert "broke" in str(only_run(tmp_path)["error"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_a_partial_report(server: list[str], tmp_path: Path, number: int) -> None:
    command = [TRITONE, "bench", "load", "--streams", "6", "--seconds", "60", "--quick", *server]
    process = subprocess.Popen([*command, "--out", str(tmp_path)], stderr=subprocess.PIPE, text=True)
    wait_for_load(process, int(server[3]), 6)
    time.sleep(5.0)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; what was measured until then is kept" in stderr.strip().splitlines()[-1]
    run = only_run(tmp_path)
    assert isinstance(run["levels"], list)
    assert run["levels"][0]["chunks"] > 20
    assert family
    assert not psutil.wait_procs(family, timeout=3)[1]


def wait_for_load(process: subprocess.Popen[str], metrics_port: int, streams: int) -> None:
    from tritone_bench.usage import UsageMeter

    meter = UsageMeter(None, f"http://127.0.0.1:{metrics_port}/metrics")
    end = time.monotonic() + 40
    while meter.counters().get("tritone_streams_live", 0.0) < streams:
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["--model", "/nowhere/at/all"], 1, "none could be started: no model"),
        (["--server", "there-is-no.invalid:9"], 1, "no service at there-is-no.invalid:9"),
        (["--server", "nonsense:port"], 2, "is not HOST:PORT"),
        (["--latency-threshold", "0"], 2, "outside 1 to 10000 ms"),
        (["--audio", "/nowhere.wav"], 2, "cannot be read as audio"),
        (["--out", "/proc/nowhere"], 1, "choose a folder with --out"),
        (["--request-rate-range", "5:1:1"], 2, "not START:END:STEP"),
    ],
)
def test_what_cannot_work_is_one_line(words: list[str], status: int, text: str, tmp_path: Path) -> None:
    grpc_port, metrics_port = free_ports(2)
    defaults = ["--server", f"127.0.0.1:{grpc_port}", "--metrics-port", str(metrics_port), "--out", str(tmp_path)]
    command = [TRITONE, "bench", "capacity", "--quick", *defaults, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ})
    assert done.returncode == status, done.stderr
    assert text in complaint(done)
    assert not list(tmp_path.iterdir())
