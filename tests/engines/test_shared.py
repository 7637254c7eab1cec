"""One engine process for several model processes: results as from the engine alone, slots apart, one end for all."""

import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tritone_backend.engines.shared.client import SharedEngine
from tritone_backend.engines.shared.host import Host
from tritone_backend.errors import EngineError
from tritone_backend.models.registry import find_model
from tritone_backend.spec import AcousticSpec

from tests.backend.toy_engine import ToyEngine

pytestmark = pytest.mark.unit
SPEC = AcousticSpec.load(find_model("default"))
TOY = replace(SPEC, state_size=4)


@pytest.fixture
def host(tmp_path):
    """The address of an engine process, in a thread, over the toy engine with 16 slots and steps of 8 rows."""
    address = tmp_path / "engine"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(address))
    listener.listen(8)
    engine = ToyEngine(TOY)
    engine.allocate(16)
    loop = Host(engine, "toy", 16, 8, listener)
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    yield engine, address
    thread.join(5.0)
    assert not thread.is_alive(), "it ends when a member does"
    loop.close()
    listener.close()


def joined(engine, address: Path, slots: int, max_batch: int = 4) -> SharedEngine:
    member = SharedEngine(engine.spec, address, max_batch)
    member.allocate(slots)
    return member


def batch(engine, rows: int, seed: int):
    rng = np.random.default_rng(seed)
    signal = rng.integers(-9000, 9000, (rows, engine.spec.chunk_samples)).astype(np.int16)
    return signal, np.arange(rows, dtype=np.int32), np.zeros(rows, np.bool_)


def test_two_members_get_what_the_engine_alone_gives_and_their_slots_are_apart(host):
    engine, address = host
    alone = ToyEngine(TOY)
    alone.allocate(16)
    first, second = joined(engine, address, 4), joined(engine, address, 4)
    for turn in range(3):
        for member, offset in ((first, 0), (second, 4)):
            signal, slots, fresh = batch(engine, 3, turn * 10 + offset)
            fresh[:] = turn == 0
            expected = alone.step(signal, slots + offset, fresh).copy()
            assert np.allclose(member.step(signal, slots, fresh), expected, atol=1e-5)
    assert first.reason == "toy, in a process of its own"
    first.close()
    second.close()


def test_batches_above_the_limit_are_cut(host):
    engine, address = host
    alone = ToyEngine(TOY)
    alone.allocate(16)
    member = joined(engine, address, 12)
    signal, slots, fresh = batch(engine, 10, 1)
    fresh[:] = True
    assert np.allclose(member.step(signal, slots, fresh), alone.step(signal, slots, fresh), atol=1e-5)
    member.close()


def test_more_slots_than_there_are_get_one_line(host):
    engine, address = host
    member = joined(engine, address, 12)
    other = SharedEngine(engine.spec, address, 4)
    with pytest.raises(EngineError, match="4 slots left"):
        other.allocate(5)
    other.close()
    member.close()


def test_a_failing_engine_fails_the_step_and_not_the_process(host):
    engine, address = host
    member = joined(engine, address, 4)
    signal, slots, fresh = batch(engine, 2, 1)
    fresh[:] = True
    good = member.step(signal, slots, fresh).copy()
    engine.fail_next = True
    with pytest.raises(EngineError, match="told to fail"):
        member.step(signal, slots, fresh)
    assert np.array_equal(member.step(signal, slots, fresh), good)
    member.close()


def test_a_host_that_dies_in_mid_call_is_an_engine_error(tmp_path):
    address, model = tmp_path / "engine", find_model("default")
    words = ["--model", str(model), "--engine", "onnxruntime", "--slots", "4", "--threads", "1"]
    process = subprocess.Popen([sys.executable, "-m", "tritone_backend.engines.shared.host", str(address), *words])
    try:
        member = SharedEngine(SPEC, address, 2)
        member.allocate(4)
        rows = batch(member, 2, 1)
        assert member.step(*rows).shape == (2, 10, 35)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        with pytest.raises(EngineError, match="engine process"):
            member.step(*rows)
        member.close()
    finally:
        process.kill()
        process.wait()


def test_an_engine_that_cannot_start_says_why_to_every_member(tmp_path):
    address = tmp_path / "engine"
    words = ["--model", str(find_model("default")), "--engine", "no-such", "--slots", "4"]
    process = subprocess.Popen([sys.executable, "-m", "tritone_backend.engines.shared.host", str(address), *words])
    try:
        for _ in range(2):
            member = SharedEngine(SPEC, address, 2)
            with pytest.raises(EngineError, match="unknown engine 'no-such'"):
                member.allocate(2)
            member.close()
    finally:
        process.kill()
        process.wait()
