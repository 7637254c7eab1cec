"""Counting in arrays gives what counting one by one gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritone_backend.profiling.histograms import Histograms
from tritone_backend.profiling.names import BUCKETS_S

pytestmark = pytest.mark.unit

EDGES = [bound * 1e6 for bound in BUCKETS_S]
TIMES = st.one_of(st.floats(0, 3e6), st.sampled_from(EDGES), st.just(float("nan")))


@given(st.lists(st.lists(st.tuples(TIMES, TIMES), max_size=20), max_size=5))
def test_cumulative_counts_and_sums(batches):
    histograms = Histograms(2)
    for batch in batches:
        if batch:
            histograms.add(np.array(batch))
    for column in range(2):
        seen = [row[column] for batch in batches for row in batch if row[column] == row[column]]
        expected = [sum(value <= edge for value in seen) for edge in EDGES] + [len(seen)]
        assert histograms.cumulative()[column].tolist() == expected
        assert histograms.sums[column] == pytest.approx(sum(seen))
