"""The flight recorder's rings and files."""

import json
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritone_backend.profiling.names import STAGES
from tritone_backend.profiling.recorder import BATCH, CHUNK, KEPT_FILES, MAX_ROWS, FlightRecorder, Ring, write_dump

pytestmark = pytest.mark.unit


@given(st.integers(1, 12), st.lists(st.integers(0, 30), max_size=8))
def test_a_ring_keeps_the_newest_rows_in_order(size, additions):
    ring, everything = Ring(BATCH, size), []
    for count in additions:
        rows = np.zeros(count, BATCH)
        rows["at"] = np.arange(len(everything), len(everything) + count)
        everything += rows["at"].tolist()
        ring.extend(rows)
    assert ring.since(-1)["at"].tolist() == everything[-size:]
    assert ring.since(7)["at"].tolist() == [at for at in everything[-size:] if at >= 7]


def test_memory_is_bounded_however_many_streams():
    recorder = FlightRecorder(65_536, 0.3)
    assert len(recorder.chunks._rows) == MAX_ROWS
    assert recorder.chunks._rows.nbytes + recorder.batches._rows.nbytes < 24 * 2**20


def snapshot(now, chunks):
    batch = np.zeros(1, BATCH)
    batch["at"], batch["size"] = now - 1, chunks
    rows = np.zeros(chunks, CHUNK)
    rows["at"], rows["stream"], rows["latency"] = now, 2**63 - 1, 1234.56
    rows["stages"] = np.arange(len(STAGES))
    rows["stages"][:, 2] = np.nan
    return batch, rows


def test_a_dump_is_json_lines_in_order_of_time(tmp_path):
    now = perf_counter()
    path = write_dump(tmp_path / "new", "streaming_asr", "late", now, *snapshot(now, 3))
    head, batch, *chunks = map(json.loads, path.read_text().splitlines())
    assert head["kind"] == "head"
    assert (head["reason"], head["unit"], head["batches"], head["chunks"]) == ("late", "microseconds", 1, 3)
    assert batch["kind"] == "batch"
    assert batch["size"] == 3
    assert len(chunks) == 3
    assert chunks[0]["stream"] == 2**63 - 1
    assert chunks[0]["latency"] == 1234.6
    assert chunks[0]["time"] - batch["time"] == pytest.approx(1, abs=1e-3)
    assert set(chunks[0]) == {"kind", "time", "stream", "batch", "latency", *STAGES} - {"resample"}
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_old_dumps_of_the_same_model_make_room(tmp_path):
    other = tmp_path / "flight-streaming_acoustic-1.jsonl"
    other.touch()
    paths = [
        write_dump(tmp_path, "streaming_asr", "late", perf_counter(), *snapshot(perf_counter(), 1))
        for _ in range(KEPT_FILES + 2)
    ]
    assert sorted(tmp_path.glob("flight-streaming_asr*")) == paths[2:]
    assert other.exists()


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tritone_backend.profiling.recorder.json.dumps", full)
    with pytest.raises(OSError, match="No space"):
        write_dump(tmp_path, "streaming_asr", "late", perf_counter(), *snapshot(perf_counter(), 1))
    assert list(tmp_path.iterdir()) == []
