"""The metrics of a running service: every name that dashboard and rules use exists, and the numbers are right."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from tritonclient.utils import InferenceServerException
from tritone_backend.profiling.names import BUCKETS_S, METRICS, STAGES, Kind
from tritone_backend.profiling.rules import RECORDED
from tritone_backend.serve import running_server
from tritone_backend.serve.ports import free_ports

from tests.serve.tiny_model import write_model
from tests.service.raw import Raw, new_id

pytestmark = pytest.mark.triton

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CHUNK = bytes(4800)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def small(tiny):
    with running_server(tiny, max_streams=3) as running:
        yield running


def series(server) -> dict[tuple[str, frozenset], float]:
    """Every series of streaming_asr by name and labels."""
    with urllib.request.urlopen(server.settings.metrics_url, timeout=5) as page:
        text = page.read().decode()
    found = {}
    for name, labels, value in re.findall(r"^(tritone_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        pairs = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if pairs.pop("model") == "streaming_asr":
            found[name, frozenset(pairs.items())] = float(value)
    return found


async def settled(server, condition, within_s=8.0) -> dict:
    deadline = time.monotonic() + within_s
    while not condition(seen := series(server)):
        assert time.monotonic() < deadline, seen
        await asyncio.sleep(0.2)
    return seen


def used_names() -> set[str]:
    """Metric names in the queries of the dashboard and the rules."""
    dashboard = json.loads((DEPLOY / "grafana" / "tritone.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [
        variable["query"]["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"
    ]
    queries += re.findall(r"expr: '(.*)'", (DEPLOY / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    assert len(queries) > 25
    recorded = {name for query in queries for name in re.findall(r"tritone:[\w:]+", query)}
    assert recorded <= set(RECORDED)
    return {name for query in queries for name in re.findall(r"\btritone_\w+", query)}


async def test_every_metric_of_dashboard_and_rules_exists_from_the_start(small):
    there = {name for name, _ in series(small)}
    assert used_names() <= there
    for metric in METRICS:
        suffixes = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        assert {metric.name + suffix for suffix in suffixes} <= there


async def test_chunks_show_up_in_histograms_that_agree_with_the_counters(small):
    chunks, observed = ("tritone_chunks_total", frozenset()), ("tritone_chunk_seconds_count", frozenset())
    before = await settled(small, lambda now: now[observed] == now[chunks] > 0)  # the probes of the start are in both
    stream, rounds = new_id(), 10
    async with Raw(small.address) as raw:
        for turn in range(rounds):
            _, timing = await raw.audio(stream, CHUNK, start=turn == 0, end=turn == rounds - 1, timing=True)
            assert len(timing[0]) == len(STAGES)
    plus = rounds + 2  # the trained padding is a chunk at either end

    def grown(seen, name, **labels):
        return seen[name, frozenset(labels.items())] - before[name, frozenset(labels.items())]

    seen = await settled(small, lambda now: grown(now, "tritone_chunk_seconds_count") >= plus)
    assert grown(seen, "tritone_chunks_total") == plus
    assert grown(seen, "tritone_chunk_seconds_count") == plus
    assert grown(seen, "tritone_stage_seconds_count", stage="network") == plus
    assert grown(seen, "tritone_stage_seconds_count", stage="queue") == rounds
    assert grown(seen, "tritone_stage_seconds_count", stage="resample") == 0
    buckets = [grown(seen, "tritone_stage_seconds_bucket", stage="network", le=f"{b:g}") for b in BUCKETS_S]
    buckets.append(grown(seen, "tritone_stage_seconds_bucket", stage="network", le="+Inf"))
    assert buckets == sorted(buckets)
    assert buckets[-1] == plus
    stages = sum(grown(seen, "tritone_stage_seconds_sum", stage=stage) for stage in STAGES)
    assert 0 < stages <= grown(seen, "tritone_chunk_seconds_sum") * 1.001
    assert 0 < seen["tritone_real_time_factor", frozenset()] < 1
    assert 0 < seen["tritone_batch_fill_ratio", frozenset()] <= 1


async def test_those_turned_away_are_counted_by_reason(small):
    def of(seen, name, reason):
        return seen[name, frozenset({("reason", reason)})]

    before = series(small)
    async with Raw(small.address) as raw:
        streams = [new_id() for _ in range(3)]
        for stream in streams:
            await raw.audio(stream, start=True)
        for bad, options in ((b"", {}), (b"", {"encoding": "mp3"}), (bytes(3_000_000), {})):
            with pytest.raises(InferenceServerException):
                await raw.audio(new_id(), bad, start=True, **options)
        seen = await settled(small, lambda now: now["tritone_streams_free", frozenset()] == 0)
        for name, reason in (("refused", "full"), ("rejected", "bad-option"), ("rejected", "too-large")):
            name = f"tritone_{name}_total"
            assert of(seen, name, reason) - of(before, name, reason) == 1, reason
        for stream in streams:
            await raw.audio(stream, end=True)
    assert any("event=refused stream=" in line and "reason=full live=3 slots=3" in line for line in small.log.lines())


def test_sigusr2_to_tritone_serve_writes_flight_records_and_harms_nobody(tiny, tmp_path):
    grpc_port, metrics_port = free_ports(2)
    command = [sys.executable, "-m", "tritone_client.cli.main", "serve", "--model", str(tiny), "--max-streams", "4"]
    command += ["--grpc-port", str(grpc_port), "--metrics-port", str(metrics_port)]
    environment = {**os.environ, "TRITONE_FLIGHT_DIR": str(tmp_path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert "ready" in process.stdout.readline()

        async def call(before_the_end):
            async with Raw(f"127.0.0.1:{grpc_port}") as raw:
                stream = new_id()
                for turn in range(20):
                    await raw.audio(stream, CHUNK, start=turn == 0)
                before_the_end()
                deadline = time.monotonic() + 10
                while len(list(tmp_path.glob("flight-*.jsonl"))) < 2:  # one of each model
                    assert time.monotonic() < deadline
                    await raw.audio(stream, CHUNK)
                    await asyncio.sleep(0.05)
                await raw.audio(stream, end=True)
                return stream

        stream = asyncio.run(call(lambda: process.send_signal(signal.SIGUSR2)))
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert err == ""  # nothing had to be restarted
    (path,) = tmp_path.glob("flight-streaming_asr-*.jsonl")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert records[0]["reason"] == "asked"
    chunks = [record for record in records if record["kind"] == "chunk" and record["stream"] == stream]
    assert len(chunks) >= 20
    assert all({"network", "decode", "latency"} <= set(chunk) for chunk in chunks)
    assert {key for record in records for key in record} <= {
        *("kind", "model", "reason", "time", "unit", "batches", "chunks"),
        *("batch", "took", "size", "waiting", "live", "stream", "latency"),
        *STAGES,
    }
