"""Search beside the network: answers that wait, deadlines, backlog, defects; partials that stay put."""

import threading
import time

import numpy as np
import pytest
from tritone_backend.decoding import DecodedPhrase, pool
from tritone_backend.decoding.finals import PendingEvents
from tritone_backend.decoding.partials import StablePartial
from tritone_backend.decoding.pool import SearchPool, StreamSearch
from tritone_backend.decoding.words import split_words

from tests.backend.decoding.conftest import spoken

pytestmark = pytest.mark.unit
ROWS = np.zeros((10, 35), np.float32)


def phrase(text: str) -> DecodedPhrase:
    return DecodedPhrase.of(spoken(text))


class SlowSearch:
    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.pushed = 0

    def push(self, logprobs, frame):
        self.gate.wait(5)
        if frame < 0:
            raise ValueError("a defect")
        self.pushed += 1

    def words(self):
        return phrase("раз").words

    def finish(self):
        return phrase("раз два").words


class Bench:
    def __init__(self, deadline_s=5.0):
        self.degraded = []
        self.pool = SearchPool(1, deadline_s, lambda *told: self.degraded.append(told))
        self.searcher = SlowSearch()
        self.search = StreamSearch(self.pool, self.searcher, 77, partials=True)

    def answer(self):
        """Ends the phrase; its text, and whether it was known at once."""
        known = []
        done = threading.Event()
        pending = PendingEvents(
            ["before", (self.search.finish(phrase("рас")), lambda found: found.text)], self.pool.give_up_later
        )
        pending.then(lambda events: (known.extend(events), done.set()))
        at_once = done.is_set()
        assert done.wait(5)
        return known, at_once


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.pool.stop()


def test_a_final_comes_from_the_search_and_events_keep_their_order(bench):
    bench.search.push(ROWS, 0)
    assert bench.answer()[0] == ["before", "раз два"]
    assert bench.degraded == []


def test_a_chunk_does_not_wait(bench):
    bench.searcher.gate.clear()
    begin = time.monotonic()
    for chunk in range(100):
        bench.search.push(ROWS, 10 * chunk)
    assert time.monotonic() - begin < 0.5
    assert bench.search.latest == (-1, [])
    bench.searcher.gate.set()
    assert bench.answer()[0][1] == "раз два"
    assert bench.searcher.pushed == 100


def test_a_final_stays_greedy_after_the_deadline_and_the_next_one_does_not():
    bench = Bench(deadline_s=0.05)
    bench.searcher.gate.clear()
    bench.search.push(ROWS, 0)
    assert bench.answer() == (["before", "рас"], False)
    assert [told[:3] for told in bench.degraded] == [(77, 1, "deadline")]
    bench.searcher.gate.set()
    while bench.search.jobs or bench.search.running:
        time.sleep(0.001)
    final = bench.search.finish(phrase("рас"))
    while not final.settled:
        time.sleep(0.001)
    assert final.phrase.text == "раз два"
    bench.pool.stop()


def test_a_backlog_is_bounded_and_costs_only_its_phrase(bench, monkeypatch):
    monkeypatch.setattr(pool, "MOST_WAITING", 20)
    bench.searcher.gate.clear()
    for chunk in range(100):
        bench.search.push(ROWS, 10 * chunk)
    assert len(bench.search.jobs) <= 20
    assert bench.answer() == (["before", "рас"], True)
    assert [told[:3] for told in bench.degraded] == [(77, 1, "backlog")]
    bench.searcher.gate.set()
    while bench.search.jobs or bench.search.running:
        time.sleep(0.001)
    bench.search.push(ROWS, 2000)
    assert bench.answer()[0][1] == "раз два"


def test_a_defect_costs_one_phrase(bench):
    bench.searcher.gate.clear()
    bench.search.push(ROWS, -1)
    threading.Timer(0.05, bench.searcher.gate.set).start()
    assert bench.answer()[0] in (["before", "рас"], ["before", "раз два"])
    assert (bench.degraded[0][0], bench.degraded[0][2]) == (77, "failed")
    bench.search.push(ROWS, 0)
    assert bench.answer()[0][1] == "раз два"


def test_words_shown_twice_stay_until_the_final():
    partial = StablePartial()
    assert partial.show(phrase("на"), []).text == "на"
    assert partial.show(phrase("нам стол"), []).text == "нам стол"
    assert partial.show(phrase("нам стола мы"), []).text == "нам стола мы"  # "нам" was shown twice: kept
    corrected = phrase("дам столу").words
    assert partial.show(phrase("нам стола мы идём"), corrected).text == "нам столу мы идём"
    assert partial.show(phrase("нам стола мы идём"), phrase("дам столы").words).text == "нам столы мы идём"
    partial.reset()
    assert partial.show(phrase("да"), []).text == "да"


def test_a_word_across_the_place_where_the_search_stands_is_cut_there():
    heard = spoken("накафель")
    known = heard[0].letters[:2]  # the search knows by now that the first word was "на"
    partial = StablePartial()
    assert partial.show(DecodedPhrase.of(heard), []).text == "накафель"
    assert partial.show(DecodedPhrase.of(heard), split_words(known)).text == "на кафель"
    # A letter that is left behind the search's word is no word yet.
    assert partial.show(DecodedPhrase.of(split_words(heard[0].letters[:3])), split_words(known)).text == "на"


def test_a_search_that_leaves_speech_out_stays_greedy_and_is_counted(bench):
    final = bench.search.finish(phrase("раз два три четыре пять"))
    while not final.settled:
        time.sleep(0.001)
    assert final.phrase.text == "раз два три четыре пять"
    while not bench.degraded:
        time.sleep(0.001)
    assert bench.degraded == [(77, 1, "short", "of 5 words the search had 2")]
