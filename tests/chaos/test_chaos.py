"""The short chaos suite of every test run: a few seeds inside one process, a schedule and a rolling restart outside.

`make chaos` runs hundreds; `docs/reliability.md` has what they found.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.chaos.inside_run import Broken, Run, fast_waits, run_inside, undisturbed
from tests.chaos.outside import World
from tests.chaos.outside_run import Scene
from tests.chaos.outside_run import undisturbed as undisturbed_outside
from tests.chaos.schedule import INSIDE, OUTSIDE, Strike, schedule

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.unit
def test_a_seed_says_all():
    assert schedule(7, INSIDE, 4) == schedule(7, INSIDE, 4)
    assert {strike.fault for seed in range(len(OUTSIDE)) for strike in schedule(seed, OUTSIDE, 3)} == set(OUTSIDE)


@pytest.mark.unit
@pytest.mark.parametrize("seed", [5, 6])
def test_no_schedule_loses_or_doubles_a_final(seed):
    outcome = run_inside(seed)
    assert outcome.strikes.total() == 4
    assert outcome.streams >= 6
    assert outcome.finals > 10


@pytest.mark.unit
def test_the_suite_notices_a_final_that_is_lost_or_doubled(monkeypatch):
    """A client that forgets what it delivered says it twice; the invariants must see that."""
    from tritone_client._resume import ReplayLog

    replay = ReplayLog.replay

    def forgetful(self):
        self._last_final_ms = -1
        return replay(self)

    monkeypatch.setattr(ReplayLog, "replay", forgetful)
    with fast_waits():
        expected = asyncio.run(undisturbed())
        assert any(broken(seed, expected) for seed in range(2, 8))


def broken(seed, expected) -> bool:
    try:
        asyncio.run(Run(seed, expected).run())
    except Broken:
        return True
    return False


@pytest.mark.triton
@pytest.mark.slow
async def test_a_rolling_restart_of_real_servers_loses_nothing():
    async with World() as world:
        expected = await undisturbed_outside(world)
        scene = Scene(world, expected)
        await scene.run([Strike(0.3, "rolling-restart", 0, 0.5)], 10.0)
        assert scene.resumed >= 3
        told = "".join(world.servers[0].lines)
        assert re.search(r"event=draining streams=\d timeout_s=2", told)


@pytest.mark.unit
def test_nothing_measures_time_by_a_clock_that_can_jump():
    """time.time is for stamps that people read: file names and headers of dumps, nothing that waits or compares."""
    allowed = {"backend/tritone_backend/profiling/recorder.py"}  # stamps of a flight record
    found = set()
    for package in ("backend", "client"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if re.search(r"\btime\.time\(|from time import .*\btime\b|\btime_ns\(", path.read_text(encoding="utf-8")):
                found.add(name)
    assert found <= allowed
