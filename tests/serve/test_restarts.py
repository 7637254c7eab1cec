from __future__ import annotations

import pytest
from tritone_backend.serve.restarts import MAX_RAPID_FAILURES, RestartPolicy

pytestmark = pytest.mark.unit


def test_delays_double_up_to_the_limit_and_then_it_is_given_up():
    policy = RestartPolicy()
    delays = [policy.failed(0.0) for _ in range(MAX_RAPID_FAILURES)]
    assert delays == [1, 2, 4, 8, 16, 30, 30, 30]
    assert policy.failed(0.0) is None


def test_a_minute_of_health_forgets_the_past():
    policy = RestartPolicy()
    for _ in range(5):
        policy.failed(59.9)
    assert policy.failed(60.0) == 1
    assert policy.failed(0.0) == 2
