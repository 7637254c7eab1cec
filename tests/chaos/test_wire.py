"""Real servers behind real IP links that delay, lose, break and come back: no final is lost or doubled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.wire import why_not

ROOT = Path(__file__).resolve().parents[2]
WHY_NOT = why_not()
pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]


def test_calls_survive_bad_weather_and_cuts_of_a_real_network():
    command = ["unshare", "--net", sys.executable, "-m", "tests.chaos.wired"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran.stderr
    print(ran.stdout)
    found = json.loads(ran.stdout)
    weather, cut, unplugged, moved = found.values()
    assert all(scenario["as undisturbed"] for scenario in found.values())
    assert weather["lost"] > 0
    assert (weather["resumed"], weather["moved"]) == (0, False)
    assert weather["longest_s"] > 0.2, "each way takes a tenth of a second"
    assert (cut["resumed"] >= 1, cut["moved"]) == (True, False)
    assert cut["longest_s"] < 20
    assert (unplugged["resumed"] >= 1, unplugged["moved"]) == (True, False)
    assert unplugged["longest_s"] < 15
    assert (moved["resumed"], moved["moved"]) == (1, True)
    assert moved["longest_s"] < 6, "the request's limit of 2 s, and the replay"
