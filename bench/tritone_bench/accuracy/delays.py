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
        seen: to the first event that shows the word in the spelling that the last partial had, or to its final.
        right: to the first event that shows it as its final does.
        final: to the final that holds it.
        closed: of each phrase, from the end of its last word to its final.
        respelt: words that no partial showed as their final does.
        settled: words that two partials in a row showed.
        changed: of them, those that a later partial took back.
        changed_by_final: of them, those that only the final took back.
    """

    seen: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    final: list[float] = field(default_factory=list)
    closed: list[float] = field(default_factory=list)
    respelt: int = 0
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
        last = partials[-1].words if partials else ()
        stood_for = {pair.reference: pair.hypothesis for pair in align(final.words, last) if pair.hypothesis >= 0}
        right, seen = _first_shown(final, partials), _first_kept(last, partials)
        for index, end in enumerate(final.ends):
            self.respelt += index not in right
            at_all = seen.get(stood_for.get(index, -1), final.arrived_s)
            self.seen.append(1e3 * (min(at_all, right.get(index, at_all)) - end))
            self.right.append(1e3 * (right.get(index, final.arrived_s) - end))
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
        if not self.final:
            return {}
        seen, right, final = np.asarray(self.seen), np.asarray(self.right), np.asarray(self.final)
        return {
            "words": len(final),
            "seen_p50_ms": float(np.percentile(seen, 50)),
            "seen_p95_ms": float(np.percentile(seen, 95)),
            "right_p50_ms": float(np.percentile(right, 50)),
            "right_p95_ms": float(np.percentile(right, 95)),
            "final_p50_ms": float(np.percentile(final, 50)),
            "final_p95_ms": float(np.percentile(final, 95)),
            "closed_p50_ms": float(np.percentile(self.closed, 50)),
            "closed_p95_ms": float(np.percentile(self.closed, 95)),
            "respelt_by_final_percent": 100.0 * self.respelt / len(final),
            "settled_words": self.settled,
            "changed_later_percent": 100.0 * self.changed / max(1, self.settled),
            "changed_by_final_percent": 100.0 * self.changed_by_final / max(1, self.settled),
        }

    def curves(self) -> dict[str, list[list[float]]]:
        """Points [milliseconds, per cent of words by then] of the delays; empty when no word was timed."""
        if not self.final:
            return {}
        return {
            name: [[round(float(np.percentile(values, share)), 1), float(share)] for share in CURVE]
            for name, values in (("seen", self.seen), ("right", self.right), ("final", self.final))
        }


def _first_shown(final: Shown, partials: Sequence[Shown]) -> dict[int, float]:
    """When a partial first showed each word of a final, by index; words that none showed so are left out."""
    found: dict[int, float] = {}
    for partial in partials:
        # Only words that had begun by then: otherwise a word said twice would be found in its first place.
        begun = 1 + sum(end < partial.arrived_s for end in final.ends)
        for pair in align(final.words[:begun], partial.words):
            if pair.kind == "equal":
                found.setdefault(pair.reference, partial.arrived_s)
    return found


def _first_kept(last: tuple[str, ...], partials: Sequence[Shown]) -> dict[int, float]:
    """Since when partials showed each word of the last one, by its index: followed back from partial to partial."""
    found = dict.fromkeys(range(len(last)), partials[-1].arrived_s) if partials else {}
    places = {index: index for index in found}  # where each word of the last partial is in the one looked at
    for later, earlier in zip(reversed(partials), reversed(partials[:-1]), strict=False):
        same = {pair.hypothesis: pair.reference for pair in align(earlier.words, later.words) if pair.kind == "equal"}
        places = {index: same[place] for index, place in places.items() if place in same}
        found.update(dict.fromkeys(places, earlier.arrived_s))
    return found
