"""Search beside the network: answers that wait, deadlines, backlog, defects; partials that stay put."""

import threading
import time

import numpy as np
import pytest
from tritone_backend.decoding import DecodedPhrase, pool
from tritone_backend.decoding.awaited import PendingEvents
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
    def __init__(self, deadline_s=5.0, partial_deadline_s=5.0):
        self.degraded = []
        self.late_partials = 0
        self.pool = SearchPool(
            1, deadline_s, partial_deadline_s, lambda *told: self.degraded.append(told), self._late_partial
        )
        self.searcher = SlowSearch()
        self.search = StreamSearch(self.pool, self.searcher, 77)

    def _late_partial(self):
        self.late_partials += 1

    def answer(self):
        """Ends the phrase; its text, and whether it was known at once."""
        return self.wait(["before", (self.search.finish(phrase("рас")), lambda found: found.text)])

    def wait(self, parts):
        """The events of an answer, and whether they were known at once."""
        known = []
        done = threading.Event()
        pending = PendingEvents(parts, self.pool.give_up_later)
        pending.then(lambda events: (known.extend(events), done.set()))
        at_once = done.is_set()
        assert done.wait(5)
        return known, at_once

    def partial(self, start=0):
        """The words of the open phrase, as a partial shows them."""
        return self.search.glance(start), lambda words: " ".join(word.text for word in words)


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.pool.stop()


def test_a_final_comes_from_the_search_and_events_keep_their_order(bench):
    bench.search.push(ROWS, 0)
    assert bench.answer()[0] == ["before", "раз два"]
    assert bench.degraded == []


def test_a_partial_has_the_words_of_its_own_chunk(bench):
    bench.search.push(ROWS, 0)
    assert bench.wait([bench.partial()])[0] == ["раз"]
    assert bench.degraded == []
    assert bench.late_partials == 0


def test_a_partial_waits_no_longer_than_its_deadline_and_shows_what_was_known():
    bench = Bench(partial_deadline_s=0.05)
    bench.search.push(ROWS, 0)
    assert bench.wait([bench.partial()])[0] == ["раз"]
    bench.searcher.gate.clear()
    bench.search.push(ROWS, 10)
    begin = time.monotonic()
    assert bench.wait([bench.partial(), bench.partial(start=7)]) == (
        ["раз", ""],
        False,
    )  # the other phrase has none yet
    assert 0.04 < time.monotonic() - begin < 1.0
    assert bench.degraded == []  # of finals alone
    assert bench.late_partials == 1  # one answer, whatever it waits for
    bench.searcher.gate.set()
    assert bench.answer()[0][1] == "раз два"
    bench.pool.stop()


def test_a_deadline_of_nothing_is_no_wait():
    bench = Bench(partial_deadline_s=0.0)
    bench.searcher.gate.clear()
    bench.search.push(ROWS, 0)
    begin = time.monotonic()
    assert bench.wait([bench.partial()])[0] == [""]
    assert time.monotonic() - begin < 0.5
    bench.searcher.gate.set()
    bench.pool.stop()


def test_a_final_beside_a_partial_gets_a_finals_patience():
    bench = Bench(partial_deadline_s=0.01)
    bench.searcher.gate.clear()
    bench.search.push(ROWS, 0)
    parts = [bench.partial(), (bench.search.finish(phrase("рас")), lambda found: found.text)]
    threading.Timer(0.2, bench.searcher.gate.set).start()
    assert bench.wait(parts) == (["раз", "раз два"], False)
    bench.pool.stop()


def test_queueing_a_chunk_does_not_wait(bench):
    bench.searcher.gate.clear()
    begin = time.monotonic()
    for chunk in range(100):
        bench.search.push(ROWS, 10 * chunk)
    assert time.monotonic() - begin < 0.5
    assert bench.searcher.pushed == 0
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
    assert final.value.text == "раз два"
    bench.pool.stop()


def test_a_backlog_is_bounded_and_costs_only_its_phrase(bench, monkeypatch):
    monkeypatch.setattr(pool, "MOST_WAITING", 20)
    bench.searcher.gate.clear()
    for chunk in range(100):
        bench.search.push(ROWS, 10 * chunk)
    assert len(bench.search.jobs) <= 20
    assert bench.wait([bench.partial()]) == ([""], True)
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


def shown(partial, greedy, searched, start=0):
    found = partial.show(start, greedy, searched)
    return found.text if found else None


def test_words_shown_twice_stay_until_the_final():
    partial = StablePartial()
    assert shown(partial, phrase("на"), []) == "на"
    assert shown(partial, phrase("нам стол"), []) == "нам стол"
    assert shown(partial, phrase("нам стол"), []) is None  # nothing new to show; "нам" was shown twice: kept
    assert shown(partial, phrase("нам стола мы"), []) == "нам стола мы"
    corrected = phrase("дам столу").words
    assert shown(partial, phrase("нам стола мы идём"), corrected) == "нам столу мы идём"
    assert shown(partial, phrase("нам стола мы идём"), phrase("дам столы").words) == "нам столы мы идём"
    assert shown(partial, phrase("да"), [], start=50) == "да"


def test_a_phrase_that_begins_with_the_words_of_the_one_before_is_shown():
    partial = StablePartial()
    assert shown(partial, phrase("да"), []) == "да"
    assert shown(partial, phrase("да"), [], start=50) == "да"


def test_a_word_across_the_place_where_the_search_stands_is_cut_there():
    heard = spoken("накафель")
    known = heard[0].letters[:2]  # the search knows by now that the first word was "на"
    partial = StablePartial()
    assert shown(partial, DecodedPhrase.of(heard), []) == "накафель"
    assert shown(partial, DecodedPhrase.of(heard), split_words(known)) == "на кафель"
    # A letter that is left behind the search's word is no word yet.
    assert shown(partial, DecodedPhrase.of(split_words(heard[0].letters[:3])), split_words(known)) == "на"


def test_a_search_that_leaves_speech_out_stays_greedy_and_is_counted(bench):
    final = bench.search.finish(phrase("раз два три четыре пять"))
    while not final.settled:
        time.sleep(0.001)
    assert final.value.text == "раз два три четыре пять"
    while not bench.degraded:
        time.sleep(0.001)
    assert bench.degraded == [(77, 1, "short", "of 5 words the search had 2")]
