"""What fuzzing found about memory: refused requests are forgotten at once."""

from __future__ import annotations

import gc
import weakref

import pytest

from tests.fuzz import service
from tests.fuzz.triton_stand_in import END, START

pytestmark = pytest.mark.unit


def test_refused_requests_are_not_kept():
    """Their errors waited to be counted with tracebacks, and these held the payloads: 1.2 GB in a flood of them."""
    calls = service.Calls("streaming_asr")
    try:
        kept = []
        for number in range(30):
            request = calls.request(10**9 + number, START | END, {}, bytes(2**21 + 1))
            kept.append(weakref.ref(request))
            (answer,) = calls.model.execute([request])
            assert "[tritone:too-large]" in str(answer.error)
            del request, answer
        gc.collect()
        assert sum(reference() is not None for reference in kept) <= 1
    finally:
        calls.model.finalize()
