from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException
from tritone_backend.serve import ServeError, running_server
from tritone_backend.serve.healthcheck import main as healthcheck
from tritone_backend.serve.probe import probe
from tritone_backend.serve.procs import is_running

from tests.serve.echo_repository import write_repository
from tests.serve.shared_memory import prefix_of, regions

pytestmark = [pytest.mark.triton, pytest.mark.timeout(90)]


def wait_gone(pids: list[int], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in pids if is_running(pid)] == []


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("echo")
    repository = write_repository(folder / "repository")
    with running_server("echo", repository=repository, runtime_dir=folder / "run") as running:
        yield running


def test_real_bytes_arrive_with_flags_and_parameters(server):
    with triton.InferenceServerClient(server.address) as client:
        audio = triton.InferInput("audio", [1, 6], "UINT8")
        audio.set_data_from_numpy(np.arange(6, dtype=np.uint8)[None])
        answer = client.infer(
            "streaming_asr",
            [audio],
            sequence_id=7,
            sequence_start=True,
            sequence_end=True,
            parameters={"encoding": "mulaw", "sample_rate": 16000},
        )
    seen = answer.as_numpy("events").tobytes().decode()
    assert '"bytes": 6' in seen
    assert '"flags": 3' in seen
    assert "mulaw" in seen


def test_the_model_runs_in_this_very_python(server):
    with triton.InferenceServerClient(server.address) as client:
        audio = triton.InferInput("audio", [1, 1], "UINT8")
        audio.set_data_from_numpy(np.zeros((1, 1), np.uint8))
        answer = client.infer("streaming_asr", [audio], sequence_id=8, sequence_start=True, sequence_end=True)
    seen = answer.as_numpy("events").tobytes().decode()
    assert f'"python": "{sys.version.split()[0]}"' in seen
    assert np.__file__ in seen


def test_metrics_are_served_and_administration_is_not(server):
    url = f"http://127.0.0.1:{server.settings.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as page:
        assert b"nv_inference_request_success" in page.read()
    with triton.InferenceServerClient(server.address) as client:
        with pytest.raises(InferenceServerException, match="restricted"):
            client.register_system_shared_memory("stolen", "/any", 16)
        with pytest.raises(InferenceServerException, match="restricted"):
            client.get_model_repository_index()


def test_a_probe_gets_an_answer_and_says_so(server, capsys):
    result = probe(server.address)
    assert result.alive
    assert result.detail == ""
    assert 0 < result.seconds < 5
    assert healthcheck([server.address]) == 0
    assert "answered in" in capsys.readouterr().out


def test_a_probe_of_nothing_fails_at_once(capsys):
    started = time.monotonic()
    assert healthcheck(["127.0.0.1:1", "--timeout", "3"]) == 1
    assert time.monotonic() - started < 4
    assert "no answer" in capsys.readouterr().out


def test_the_ports_of_a_running_server_are_refused_before_anything_starts(server, tmp_path):
    ports = {"grpc_port": server.settings.grpc_port, "metrics_port": server.settings.metrics_port}
    with (
        pytest.raises(ServeError, match=rf"port {ports['grpc_port']} .* --grpc-port"),
        running_server("echo", repository=tmp_path, runtime_dir=tmp_path / "run", **ports),
    ):
        pytest.fail("it started")


def test_stopping_leaves_nothing_behind(tmp_path):
    repository = write_repository(tmp_path / "repository")
    with running_server("echo", repository=repository, runtime_dir=tmp_path / "run") as running:
        pids = [running.pid, *running.stub_pids()]
        assert len(pids) == 2
        prefix = prefix_of(running.pid)
        assert len(regions(prefix)) == 3  # the lock, the board and the region of the one model
        assert running.poll() is None
    assert running.poll() == 0
    wait_gone(pids, 1)
    assert regions(prefix) == []
    assert list((tmp_path / "run").iterdir()) == []


def test_a_killed_server_takes_its_stubs_and_its_shared_memory_along(tmp_path):
    repository = write_repository(tmp_path / "repository")
    with running_server("echo", repository=repository, runtime_dir=tmp_path / "run") as running:
        pids = [running.pid, *running.stub_pids()]
        prefix = prefix_of(running.pid)
        assert running.kill() == -9
        wait_gone(pids, 1)
        assert regions(prefix) == []


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        ("refuse", "model streaming_asr did not load: engine tensorrt needs a GPU; choose another with --engine"),
        ("die-early", "model streaming_asr did not load: its process ended"),
    ],
)
def test_a_model_that_does_not_load_surfaces_in_one_line(tmp_path, behaviour, cause):
    repository = write_repository(tmp_path / "repository", behaviour)
    with (
        pytest.raises(ServeError) as caught,
        running_server("echo", repository=repository, runtime_dir=tmp_path / "run"),
    ):
        pytest.fail("it started")
    assert caught.value.user_message.startswith(cause)
    assert "\n" not in caught.value.user_message
    assert caught.value.exit_status == 1
    assert list((tmp_path / "run").iterdir()) == []


def test_a_server_that_is_not_ready_in_time_is_ended(tmp_path):
    repository = write_repository(tmp_path / "repository", "slow")
    started = time.monotonic()
    with (
        pytest.raises(ServeError, match=r"not ready after 1 s"),
        running_server("echo", repository=repository, runtime_dir=tmp_path / "run", start_timeout_s=1.0),
    ):
        pytest.fail("it started")
    assert time.monotonic() - started < 20


def test_a_full_server_counts_as_alive(tmp_path):
    repository = write_repository(tmp_path / "repository", "full")
    with running_server("echo", repository=repository, runtime_dir=tmp_path / "run") as running:
        result = probe(running.address)
    assert result.alive
    assert "[tritone:full" in result.detail


CHILD = """
import sys
from pathlib import Path
from tritone_backend.serve import running_server
with running_server("echo", repository=Path(sys.argv[1]), runtime_dir=Path(sys.argv[2])) as running:
    print(running.pid, *running.stub_pids(), flush=True)
    sys.stdin.read()
"""


def test_a_server_does_not_outlive_a_killed_parent(tmp_path):
    repository = write_repository(tmp_path / "repository")
    arguments = [sys.executable, "-c", CHILD, str(repository), str(tmp_path / "run")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert all(is_running(pid) for pid in pids)
        prefix = prefix_of(pids[0])
        os.kill(parent.pid, 9)
        parent.wait(5)
    wait_gone(pids)
    with running_server("echo", repository=repository, runtime_dir=tmp_path / "run"):
        assert len(list((tmp_path / "run").glob("*_lock"))) == 1  # the abandoned files are gone
        assert regions(prefix) == []
