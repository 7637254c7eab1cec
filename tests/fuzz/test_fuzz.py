"""A few seconds of the fuzz targets in every test run: seeds, what once failed, and what hypothesis thinks of."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, regressions, seeds

pytestmark = pytest.mark.unit

EXAMPLES = {"asr": 60, "acoustic": 40, "graph": 60, "audio-file": 150}
KEPT = [(name, path) for name in TARGETS for path in regressions(name)]


@pytest.fixture(scope="module", autouse=True)
def models_end():
    yield
    from tests.fuzz import service

    service.close()


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_survives_what_hypothesis_thinks_of(name):
    function = TARGETS[name].load()
    for data in seeds(name):
        function(data)

    @settings(
        max_examples=EXAMPLES.get(name, 400),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(max_size=TARGETS[name].longest))
    def attack(data):
        function(data)

    attack()


@pytest.mark.parametrize(("name", "path"), KEPT, ids=[f"{name}-{path.name}" for name, path in KEPT])
def test_what_once_failed_does_not_fail_again(name, path):
    TARGETS[name].load()(path.read_bytes())
