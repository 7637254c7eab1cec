"""When the flight recorder is dumped, and what is said in the log."""

import os
import subprocess
import sys
from time import perf_counter

import pytest
from tritone_backend.profiling.journal import BURST, INTERVAL_S, Journal
from tritone_backend.profiling.names import CAUSES, NETWORK, REFUSALS, REJECTIONS, STAGES
from tritone_backend.profiling.profile import DUMP_INTERVAL_S, DumpTo, Profile
from tritone_backend.profiling.stagetimes import as_timing, new_stage_times

pytestmark = pytest.mark.unit


class Dumped:
    def __init__(self, folder):
        self.lines, self.folder, self.asked = [], folder, False
        self.profile = Profile(4, 0.3, DumpTo(folder, "streaming_asr", self.lines.append, lambda: self.asked))

    def after(self, now):
        self.profile.tick(now)
        self.profile.close()
        return len(list(self.folder.glob("*.jsonl")))


def test_late_chunks_are_dumped_at_most_once_a_minute(tmp_path):
    dumped, now = Dumped(tmp_path), perf_counter()
    assert dumped.after(now) == 0
    dumped.profile.late()
    assert dumped.after(now) == 1
    dumped.profile.late()
    assert dumped.after(now + 1) == 1
    assert dumped.after(now + DUMP_INTERVAL_S + 1) == 1  # that lateness is over
    dumped.profile.late()
    assert dumped.after(now + DUMP_INTERVAL_S + 2) == 2
    path = max(tmp_path.glob("*.jsonl"))
    assert dumped.lines[-1] == f"tritone: event=flight-record reason=late chunks=0 file={path}"


def test_who_asks_gets_a_dump_at_once(tmp_path):
    dumped = Dumped(tmp_path)
    dumped.profile.late()
    dumped.after(perf_counter())
    dumped.asked = True
    assert dumped.after(perf_counter()) == 2
    assert "reason=asked" in dumped.lines[-1]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    dumped = Dumped(tmp_path / "file" / "folder")
    dumped.asked = True
    assert dumped.after(perf_counter()) == 0
    assert dumped.lines == ["tritone: event=flight-record-failed reason=asked error='Not a directory'"]


def test_a_chunk_counts_in_the_stages_it_went_through():
    profile = Profile(4, 0.3)
    stages = new_stage_times(100.0)
    stages[NETWORK] = 5000.0
    for _ in range(300):
        profile.chunk(1, 1.0, 1.006, stages)
        profile.batch(1.0, 1.006, 1, 0, 1)
    profile.chunk("foreign id", 1.0, 1.006, stages)
    profile.tick(2.0)
    totals = dict(zip(["chunk", *STAGES], profile.histograms.cumulative()[:, -1].tolist(), strict=True))
    assert totals == {"chunk": 301, **dict.fromkeys(STAGES, 0), "queue": 301, "network": 301}
    assert profile.histograms.sums[0] == pytest.approx(301 * 6000)


def test_timing_is_zero_where_nothing_happened():
    stages = new_stage_times(3.0)
    assert as_timing(stages).tolist() == [3.0] + [0.0] * (len(STAGES) - 1)


def test_log_lines_are_few_and_count_what_they_leave_out():
    lines = []
    journal = Journal(lines.append)
    for stream in range(BURST + 5):
        journal.note(1.0, "late", stream)
    assert len(lines) == BURST
    journal.note(1.0, "refused", 9, "full", live=4, slots=4)
    journal.note(1.0, "refused", 9, "overloaded")
    journal.note(1.0 + INTERVAL_S, "late", 'x" event=forged', latency_ms=412.34567)
    cause = f'cause="{CAUSES["late"]}"'
    assert lines[0] == f"tritone: event=late stream=0 {cause}"
    assert lines[BURST:] == [
        f'tritone: event=refused stream=9 reason=full live=4 slots=4 cause="{CAUSES["refused full"]}"',
        f'tritone: event=refused stream=9 reason=overloaded cause="{CAUSES["refused overloaded"]}"',
        f'tritone: event=late stream="x\\" event=forged" latency_ms=412.346 unsaid=5 {cause}',
    ]


def test_every_refusal_has_a_cause_that_a_person_understands():
    assert all(len(CAUSES[f"refused {reason}"]) > 20 for reason in REFUSALS)
    assert all(len(CAUSES[f"rejected {reason}"]) > 20 for reason in REJECTIONS)


def test_the_signal_is_seen_while_the_main_thread_sleeps_in_c():
    """As in a stub: no bytecode runs in the main thread between the signal and the question."""
    code = """
import ctypes, os, signal, threading, time
from tritone_backend.profiling.dumpsignal import DumpSignal
asked = DumpSignal()
def watch():
    print(asked.taken())
    os.kill(os.getpid(), signal.SIGUSR2)
    time.sleep(0.2)
    print(asked.taken(), asked.taken(), flush=True)
    os._exit(0)
threading.Thread(target=watch).start()
lock = ctypes.CDLL(None)
while True:
    lock.sem_wait(ctypes.create_string_buffer(64))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert ran.stdout.split() == ["False", "True", "False"]


@pytest.mark.parametrize(("setting", "expected"), [("1", "annotate"), ("0", "nullcontext")])
def test_nvtx_ranges_are_there_when_asked_for(setting, expected):
    pytest.importorskip("nvtx", reason="needs the nvtx package")
    code = (
        "from tritone_backend.profiling.spans import span\nwith span('network') as s: print(type(span('x')).__name__)"
    )
    environment = {**os.environ, "TRITONE_NVTX": setting}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout.strip() == expected


def test_asking_for_nvtx_without_the_package_is_said_and_harmless():
    code = "import sys\nsys.modules['nvtx'] = None\nfrom tritone_backend.profiling import spans\n"
    code += "with spans.span('network'): print(spans.status())"
    environment = {**os.environ, "TRITONE_NVTX": "1"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout == "NVTX ranges are off: pip install nvtx\n"
