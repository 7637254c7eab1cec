"""`tritone serve` over the real adapters and a tiny network: what the operator sees."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException
from tritone_backend.serve import ServeError, running_server
from tritone_backend.serve.ports import free_ports
from tritone_backend.serve.probe import probe

from tests.serve.tiny_model import write_model

pytestmark = [pytest.mark.triton, pytest.mark.timeout(90)]

PROGRAM = """
import argparse, sys
from tritone_backend.serve import cli
parser = argparse.ArgumentParser()
cli.configure(parser)
sys.exit(cli.run(parser.parse_args()))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


def test_the_command_serves_and_stops(model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    grpc_port, metrics_port = free_ports(2)
    options = ["--model", model, "--engine", "onnxruntime", "--max-streams", "3", "--threads", "1"]
    ports = ["--grpc-port", str(grpc_port), "--metrics-port", str(metrics_port)]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *options, *ports], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert re.search(r", model tiny, engine onnxruntime, 3 slots, \d+\.\d s\n$", line), line
            assert probe(f"127.0.0.1:{grpc_port}").alive
        finally:
            server.send_signal(signal.SIGINT)
            assert server.wait(30) == 0


def test_a_probe_of_a_full_server_says_that_it_lives_and_is_not_ready(model, tmp_path):
    with (
        running_server(model, max_streams=2, engine="onnxruntime", threads=1, runtime_dir=tmp_path) as server,
        triton.InferenceServerClient(server.address) as client,
    ):
        audio = triton.InferInput("audio", [1, 4800], "UINT8")
        audio.set_data_from_numpy(np.zeros((1, 4800), np.uint8))
        for stream in (11, 12):
            client.infer("streaming_asr", [audio], sequence_id=stream, sequence_start=True)
        with pytest.raises(InferenceServerException, match=r"\[tritone:full"):
            client.infer("streaming_asr", [audio], sequence_id=13, sequence_start=True)
        for _ in range(3):
            result = probe(server.address)
            assert result.alive
            assert not result.ready
            assert "[tritone:full" in result.detail
        client.infer("streaming_asr", [audio], sequence_id=11, sequence_end=True)  # still alive


def test_a_damaged_model_is_told_in_one_line(model, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model.toml").write_text((model / "model.toml").read_text())
    (broken / "model.onnx").write_bytes(b"not a graph")
    started = time.monotonic()
    with (
        pytest.raises(ServeError) as caught,
        running_server(broken, engine="onnxruntime", runtime_dir=tmp_path / "run"),
    ):
        pytest.fail("it started")
    assert re.match(r"model streaming_\w+ did not load: .*model\.onnx is not a graph", caught.value.user_message)
    assert "\n" not in caught.value.user_message
    assert time.monotonic() - started < 30
