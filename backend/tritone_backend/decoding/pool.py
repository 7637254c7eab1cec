"""Threads that search beside the network; answers wait for them up to a deadline, short for partials."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tritone_backend.decoding.awaited import Final, Glance, PendingEvents
from tritone_backend.decoding.rescue import falls_short
from tritone_backend.decoding.words import DecodedPhrase, DecodedWord

MOST_WAITING = 2_000
"""Pieces of one stream that may wait for a thread, ten minutes of audio; with more, its open phrase stays greedy."""


Job = tuple[NDArray[np.float32], int] | Glance | Final | None
"""Rows to search on through, a look at the words so far, a phrase's end, or such an end that nobody waits for."""
OnDegraded = Callable[[int | str, int, str, str], None]
"""Takes the stream's id, the number of its phrases that stay greedy, the reason and details."""


class Searcher(Protocol):
    """What searches one stream: the work of a thread."""

    def push(self, logprobs: NDArray[np.float32], frame: int) -> None:
        """Search on through rows of the open phrase."""

    def words(self) -> list[DecodedWord]:
        """The open phrase's complete words so far."""

    def finish(self) -> list[DecodedWord]:
        """End the phrase."""


class StreamSearch:
    """One stream's search, as the batch loop sees it: everything returns at once."""

    def __init__(self, pool: SearchPool, searcher: Searcher, stream_id: int | str = 0) -> None:
        self.stream_id = stream_id
        self._pool = pool
        self._searcher = searcher
        self._skipping = False
        self.jobs: deque[Job] = deque()
        self.running = False
        self._latest: tuple[int, list[DecodedWord]] = (-1, [])  # first frame of a phrase, its words at the last glance
        self._first = -1

    def push(self, logprobs: NDArray[np.float32], frame: int) -> None:
        """Queue rows of the open phrase; copies them."""
        if self._skipping:
            return
        if len(self.jobs) >= MOST_WAITING:
            self._skipping = True
            return
        self._pool.submit(self, (logprobs.copy(), frame))

    def glance(self, start: int) -> Glance:
        """Queue a look at the words of the open phrase, which began at frame ``start``."""
        first, words = self._latest
        glance = Glance(words if first == start else [], self.stream_id)
        if self._skipping:
            glance.settle(None)
        else:
            self._pool.submit(self, glance)
        return glance

    def finish(self, greedy: DecodedPhrase) -> Final:
        """Queue the end of the phrase; its words come with the `Final`."""
        final = Final(greedy, self.stream_id)
        if self._skipping:
            self._skipping = False
            self._pool.degraded(self.stream_id, 1, "backlog")
            final.settle(None)
            self._pool.submit(self, None)
        else:
            self._pool.submit(self, final)
        return final

    def work(self, jobs: list[Job]) -> None:
        """Do queued work, on one of the pool's threads."""
        for job in jobs:
            if isinstance(job, tuple):
                if self._first < 0:
                    self._first = job[1]
                self._searcher.push(*job)
                continue
            if isinstance(job, Glance):
                self._latest = (self._first, self._searcher.words())
                job.settle(self._latest[1])
                continue
            words = self._searcher.finish()
            self._first = -1
            if job is None:
                continue
            if not falls_short(words, job.value.words):
                job.settle(DecodedPhrase.of(words))
            elif job.settle(None):
                said = f"of {len(job.value.words)} words the search had {len(words)}"
                self._pool.degraded(self.stream_id, 1, "short", said)


class SearchPool:
    """A few threads over the queued work of all streams; streams that wait for a final go first.

    The search is C++ that leaves the interpreter to others, so that it runs beside the network.
    """

    def __init__(
        self,
        threads: int,
        deadline_s: float,
        partial_deadline_s: float,
        on_degraded: OnDegraded,
        on_late_partial: Callable[[], None],
    ) -> None:
        """Start the threads.

        Args:
            threads: how many search.
            deadline_s: how long an answer with a final waits once all else of it is known.
            partial_deadline_s: how long one with partials alone waits.
            on_degraded: told of phrases that stay greedy; called under a lock.
            on_late_partial: told of answers without final that had to go without the search's newest words; called
                on one thread.
        """
        self._deadline_s, self._partial_deadline_s = deadline_s, partial_deadline_s
        self._on_degraded, self._on_late_partial = on_degraded, on_late_partial
        self._work = threading.Condition()
        self._urgent: deque[StreamSearch] = deque()
        self._normal: deque[StreamSearch] = deque()
        self._waiting: list[tuple[float, int, PendingEvents[Any]]] = []
        self._due = threading.Condition()
        self._reports = threading.Lock()
        self._number = itertools.count()
        self._stopping = False
        self._threads = [threading.Thread(target=self._run, name=f"search-{i}", daemon=True) for i in range(threads)]
        self._threads.append(threading.Thread(target=self._watch, name="search-deadline", daemon=True))
        for thread in self._threads:
            thread.start()

    def submit(self, search: StreamSearch, job: Job) -> None:
        """Queue work of a stream."""
        with self._work:
            search.jobs.append(job)
            (self._urgent if isinstance(job, Final) else self._normal).append(search)
            self._work.notify()

    def give_up_later(self, pending: PendingEvents[Any]) -> None:
        """See to it that an answer does not wait beyond the deadline."""
        patience = self._deadline_s if pending.has_final else self._partial_deadline_s
        entry = (monotonic() + patience, next(self._number), pending)
        with self._due:
            heapq.heappush(self._waiting, entry)
            if self._waiting[0] is entry:  # otherwise the thread wakes early enough
                self._due.notify()

    def degraded(self, stream_id: int | str, phrases: int, reason: str, detail: str = "") -> None:
        """Tell of a stream's phrases that stay greedy."""
        with self._reports:
            self._on_degraded(stream_id, phrases, reason, detail)

    def stop(self) -> None:
        """End the threads; answers that wait stay greedy."""
        with self._work:
            self._stopping = True
            self._work.notify_all()
        with self._due:
            self._due.notify_all()
        for thread in self._threads:
            thread.join()
        for _, _, pending in self._waiting:
            pending.give_up()

    def _run(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._urgent or self._normal or self._stopping)
                if self._stopping:
                    return
                search = (self._urgent or self._normal).popleft()
                if search.running or not search.jobs:
                    continue  # its thread will look again, or another one was here
                search.running = True
                jobs = list(search.jobs)
                search.jobs.clear()
            try:
                search.work(jobs)
            except Exception as error:  # a defect in one stream's search must not stop everyone's
                waiting = [job for job in jobs if isinstance(job, (Glance, Final))]
                lost = sum([job.settle(None) and isinstance(job, Final) for job in waiting])
                self.degraded(search.stream_id, max(1, lost), "failed", repr(error))
            with self._work:
                search.running = False
                if search.jobs:
                    self._urgent.append(search)
                    self._work.notify()

    def _watch(self) -> None:
        while True:
            with self._due:
                if self._stopping:
                    return
                if not self._waiting:
                    self._due.wait()
                    continue
                left = self._waiting[0][0] - monotonic()
                if left > 0:
                    self._due.wait(left)
                    continue
                _, _, pending = heapq.heappop(self._waiting)
            try:
                missing = pending.give_up()
                finals = sum(isinstance(one, Final) for one in missing)
                if missing and not finals:
                    self._on_late_partial()
            except Exception as error:  # one answer's defect must not leave all others without a deadline
                self.degraded(pending.stream_id, 1, "failed", repr(error))
                continue
            if finals:
                self.degraded(pending.stream_id, finals, "deadline")
