"""How soon a spoken word is seen, and how often what was seen changes. Works on events with their arrival times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tritone_bench.accuracy.scoring import align
from tritone_bench.accuracy.streaming import Shown

CURVE = (*range(0, 100, 2), 99, 100)


@dataclass
class Delays:
    """Delays of words, in milliseconds from the end of the spoken word, and the life of shown words.

    Attributes:
        first: to the first event that shows the whole word, partial or final.
        final: to the final that holds it.
        closed: of each phrase, from the end of its last word to its final.
        unseen: words that no partial showed before their final.
        settled: words that two partials in a row showed.
        changed: of them, those that a later partial took back.
        changed_by_final: of them, those that only the final took back.
    """

    first: list[float] = field(default_factory=list)
    final: list[float] = field(default_factory=list)
    closed: list[float] = field(default_factory=list)
    unseen: int = 0
    settled: int = 0
    changed: int = 0
    changed_by_final: int = 0

    def add(self, shown: Iterable[Shown]) -> None:
        """Take the events of one stream, in order."""
        phrase: list[Shown] = []
        for event in shown:
            phrase.append(event)
            if event.final:
                self._phrase(phrase)
                phrase = []

    def _phrase(self, events: Sequence[Shown]) -> None:
        *partials, final = events
        if len(final.ends) == len(final.words):
            self._delays(partials, final)
        self._changes(partials, final)

    def _delays(self, partials: Sequence[Shown], final: Shown) -> None:
        seen: dict[int, float] = {}
        for partial in partials:
            for pair in align(final.words, partial.words):
                if pair.kind == "equal":
                    seen.setdefault(pair.reference, partial.arrived_s)
        for index, end in enumerate(final.ends):
            self.unseen += index not in seen
            self.first.append(1e3 * (seen.get(index, final.arrived_s) - end))
            self.final.append(1e3 * (final.arrived_s - end))
        if final.ends:
            self.closed.append(1e3 * (final.arrived_s - final.ends[-1]))

    def _changes(self, partials: Sequence[Shown], final: Shown) -> None:
        ages: list[int] = []  # of each word of the event before: how many events in a row have shown it
        before: tuple[str, ...] = ()
        for event in [*partials, final]:
            now = [1] * len(event.words)
            kept = set()
            for pair in align(before, event.words):
                if pair.kind == "equal":
                    kept.add(pair.reference)
                    now[pair.hypothesis] = ages[pair.reference] + 1
            lost = sum(age >= 2 for index, age in enumerate(ages) if index not in kept)
            if event.final:
                self.changed_by_final += lost
            else:
                self.changed += lost
                self.settled += sum(age == 2 for age in now)
            before, ages = event.words, now

    def summary(self) -> dict[str, float]:
        """The numbers for a table; empty when no word was timed."""
        if not self.first:
            return {}
        first, final = np.asarray(self.first), np.asarray(self.final)
        return {
            "words": len(first),
            "first_p50_ms": float(np.percentile(first, 50)),
            "first_p95_ms": float(np.percentile(first, 95)),
            "final_p50_ms": float(np.percentile(final, 50)),
            "final_p95_ms": float(np.percentile(final, 95)),
            "closed_p50_ms": float(np.percentile(self.closed, 50)),
            "closed_p95_ms": float(np.percentile(self.closed, 95)),
            "only_in_final_percent": 100.0 * self.unseen / len(first),
            "settled_words": self.settled,
            "changed_later_percent": 100.0 * self.changed / max(1, self.settled),
            "changed_by_final_percent": 100.0 * self.changed_by_final / max(1, self.settled),
        }

    def curves(self) -> dict[str, list[list[float]]]:
        """Points [milliseconds, per cent of words seen by then] of both delays."""
        if not self.first:
            return {"first": [], "final": []}
        return {
            name: [[round(float(np.percentile(values, share)), 1), float(share)] for share in CURVE]
            for name, values in (("first", self.first), ("final", self.final))
        }
