"""What a topic of telephone talk is made of: word sets and sentence patterns.

Only the containers; the words are in the topics' own modules, the drawing is in `templates`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tritone_acoustic.data.calls.conjugation import conjugate
from tritone_acoustic.data.calls.declension import Noun, adjective_forms, agree, parse_noun

# How often a noun takes an adjective.
_DESCRIBED = 0.35


class WordSet:
    """Nouns that may stand in the same place, with what describes them and what is done to them.

    Args:
        nouns: entries of `parse_noun` separated by ", ".
        adjectives: masculine nominatives separated by spaces.
        verbs: perfective transitive verbs, entries of `conjugate` separated by ", "; comma parts use ";" instead.
        now: imperfective ones.
    """

    def __init__(self, nouns: str, adjectives: str = "", verbs: str = "", now: str = "") -> None:
        self._nouns = [parse_noun(entry.strip()) for entry in nouns.replace("\n", " ").split(", ")]
        self._adjectives = [adjective_forms(word) for word in adjectives.split()]
        self._verbs = {">": _verbs(verbs), "<": _verbs(now)}
        self._by_form: dict[str, list[Noun]] = {}
        self._by_verb_form: dict[tuple[str, str], list[str]] = {}

    @property
    def has_verbs(self) -> bool:
        """Whether both aspects of verbs are given."""
        return bool(self._verbs[">"] and self._verbs["<"])

    def noun(self, rng: random.Random, form: str) -> str:
        """Draws a noun, sometimes with an adjective.

        Args:
            rng: source of randomness.
            form: a case, one with "_pl", "with", "about"; before it may stand "bare_" (no adjective) or "m_" (only
                masculine nouns, for a verb in the past). Nouns without a singular are drawn in the plural alone.

        Returns:
            The words.
        """
        bare = form.startswith("bare_")
        form = form.removeprefix("bare_")
        nouns = self._by_form.get(form)
        if nouns is None:
            nouns = self._by_form[form] = self._choose(form)
        form = form.removeprefix("m_")
        noun = rng.choice(nouns)
        if not bare and self._adjectives and rng.random() < _DESCRIBED:
            return agree(rng.choice(self._adjectives), noun, form)
        return noun.forms[form]

    def _choose(self, form: str) -> list[Noun]:
        genders = "m" if form.startswith("m_") else "mfnp" if form.endswith("_pl") or form == "acc" else "mfn"
        form = form.removeprefix("m_")
        return [noun for noun in self._nouns if form in noun.forms and noun.gender in genders]

    def verb(self, rng: random.Random, aspect: str, form: str) -> str:
        """Draws a verb.

        Args:
            rng: source of randomness.
            aspect: ">" perfective, "<" imperfective.
            form: key of `conjugate`.

        Returns:
            The word.
        """
        verbs = self._by_verb_form.get((aspect, form))
        if verbs is None:
            verbs = [forms[form] for forms in self._verbs[aspect] if form in forms]
            self._by_verb_form[aspect, form] = verbs
        return rng.choice(verbs)


def _verbs(text: str) -> list[dict[str, str]]:
    entries = text.replace("\n", " ").split(", ") if text else []
    return [conjugate(entry.strip().replace(";", ",")) for entry in entries]


@dataclass(frozen=True)
class Topic:
    """A topic.

    Attributes:
        patterns: sentences with slots ({money}, {bill.acc}, {bill>inf}) and alternatives ([да|нет]).
        words: word sets by the name that slots use.
        weight: how often the topic is drawn.
        generic: names of the word sets to which the patterns of `generic` apply.
    """

    patterns: list[str]
    words: dict[str, WordSet] = field(default_factory=dict)
    weight: float = 1.0
    generic: tuple[str, ...] = ()


def lines(text: str) -> list[str]:
    """Splits a list of patterns, one on each line.

    Args:
        text: patterns.

    Returns:
        The lines that are not empty.
    """
    return [line.strip() for line in text.splitlines() if line.strip()]
