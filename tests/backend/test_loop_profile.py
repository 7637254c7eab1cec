"""What the loop tells of its work: stage times of chunks, totals by reason, late chunks, log lines."""

from time import perf_counter, sleep

import numpy as np
import pytest
from tritone_backend.admission import Limits
from tritone_backend.errors import Code
from tritone_backend.loop import StreamLoop
from tritone_backend.profiling.journal import Journal
from tritone_backend.profiling.names import STAGES
from tritone_backend.profiling.profile import DumpTo, Profile

from tests.backend.test_loop import Harness, RecordingSession
from tests.backend.toy_engine import ToyEngine

pytestmark = pytest.mark.unit


class ProfiledHarness(Harness):
    def __init__(self, spec, folder, max_streams=8, max_batch=4, lanes=1):
        self.lines = []
        self.engine = ToyEngine(spec, lanes)
        self.profile = Profile(max_streams, spec.chunk_seconds, DumpTo(folder, "toy", self.lines.append))
        self.loop = StreamLoop(
            self.engine,
            lambda parameters, stream_id: RecordingSession(spec.chunk_samples),
            self._digest,
            Limits(max_streams, max_batch, 30.0),
            self.profile,
            Journal(self.lines.append),
        )
        self.loop.start()

    def histogram(self):
        """Observations of each stage and of the chunk, and the sums in microseconds."""
        self.loop.stop()
        self.profile.flush()
        self.profile.close()
        counts = self.profile.histograms.cumulative()[:, -1].tolist()
        names = ["chunk", *STAGES]
        return dict(zip(names, counts, strict=True)), dict(zip(names, self.profile.histograms.sums, strict=True))


def test_every_chunk_is_counted_in_its_stages_and_they_fit_into_its_way(spec, tmp_path):
    one = ProfiledHarness(spec, tmp_path)
    for stream in range(1, 6):
        one.send(stream, np.zeros(2400), start=True).result(5)
    answers = [one.send(stream, np.zeros(2400 * 3), end=True) for stream in range(1, 6)]
    for answer in answers:
        answer.result(5)
    counts, sums = one.histogram()
    assert one.loop.counters.chunks == 20
    for stage in ("chunk", "batch_wait", "copy_in", "network", "copy_out", "endpoint", "decode"):
        assert counts[stage] == 20, stage
    for stage in ("queue", "unpack", "pack"):
        assert counts[stage] == 10, stage  # once a request
    assert counts["resample"] == 0
    assert 0 < sum(sums[stage] for stage in STAGES) <= sums["chunk"]
    assert one.loop.counters.busy_s > 0


def test_refusals_and_rejections_are_counted_by_reason(spec, tmp_path):
    one = ProfiledHarness(spec, tmp_path, max_streams=1)
    one.send(1, start=True).result(5)
    assert one.code(2, start=True) is Code.FULL
    assert one.code(3, start=True) is Code.FULL
    assert one.code(1, start=True) is Code.DUPLICATE_START
    assert one.code(4) is Code.UNKNOWN_STREAM
    one.engine.fail_next = True
    assert one.code(1, np.zeros(2400)) is Code.INTERNAL
    one.loop.stop()
    assert one.loop.counters.refused == {"full": 2}
    assert one.loop.counters.rejected == {"duplicate-start": 1, "unknown-stream": 1}
    assert one.loop.counters.failed == 1
    shown = [line.split(" cause=") for line in one.lines if "ready" not in line]  # said when a tick comes by
    assert [fields for fields, _ in shown] == [
        "tritone: event=refused stream=2 reason=full live=1 slots=1",
        "tritone: event=refused stream=3 reason=full live=1 slots=1",
        "tritone: event=rejected stream=1 reason=duplicate-start live=1 slots=1",
        "tritone: event=rejected stream=4 reason=unknown-stream live=1 slots=1",
        "tritone: event=batch-failed stream=1 streams=1",
        "tritone: event=failed stream=1 reason=internal",
    ]
    assert shown[0][1] == '"every slot is taken by a live call"'
    assert shown[-1][1].endswith("detail=\"EngineError('the toy network was told to fail')\"")


def test_a_late_chunk_is_counted_said_and_leaves_a_flight_record(spec, tmp_path):
    one = ProfiledHarness(spec, tmp_path)
    one.send(77, start=True).result(5)
    one.engine.gate.clear()
    answer = one.send(77, np.zeros(2400))
    sleep(0.4)  # longer than a chunk lasts
    one.engine.gate.set()
    answer.result(5)
    deadline = perf_counter() + 5
    while not list(tmp_path.glob("*.jsonl")):
        assert perf_counter() < deadline
        sleep(0.05)
    one.histogram()
    assert one.loop.counters.late == 1
    assert one.lines[0].startswith("tritone: event=late stream=77 live=1 latency_ms=4")
    (record,) = tmp_path.glob("*.jsonl")
    assert '"stream": 77' in record.read_text()
    assert one.lines[1].startswith("tritone: event=late-batch stream=77 took_ms=4")
    assert one.lines[-1] == f"tritone: event=flight-record reason=late chunks=1 file={record}"
