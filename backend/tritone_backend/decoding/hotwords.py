"""Words a client expects: names, products, anything the language model may not know. Parsing and spotting.

A spotted word takes the place of what was recognised there when the network's log-probs make it nearly as likely as
their best path, letter for letter: token passing over the letters of all words at once (Andrusenko et al. 2024,
"Fast context-biasing for CTC and transducer ASR models with CTC-based word spotter"). It needs no lexicon.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_backend.decoding.condense import Condenser
from tritone_backend.decoding.words import DecodedWord, collapse, split_words
from tritone_backend.errors import Code, StreamError
from tritone_backend.spec import AcousticSpec

MOST_WORDS = 1_000
LONGEST = 50
DEFAULT_BOOST, LEAST_BOOST, MOST_BOOST = 1.0, 0.1, 5.0
_HOPELESS = -1e9


@dataclass(frozen=True)
class Hotwords:
    """A checked list.

    Attributes:
        words: lower-case text of each, of the acoustic model's letters, single spaces inside.
        boosts: for each, natural log-prob that a letter of it may fall short of the best path.
    """

    words: tuple[str, ...]
    boosts: tuple[float, ...]

    @classmethod
    def parse(cls, text: str, labels: str) -> Hotwords | None:
        """Check the option: a JSON list of strings or of ``{"word": ..., "boost": ...}``; None for an empty list.

        Raises:
            StreamError: ``bad-option``, with what to change.
        """
        try:
            items = json.loads(text)
        except (ValueError, RecursionError):
            raise _bad('must be a JSON list, such as ["Тинькофф", {"word": "ипотека", "boost": 2}]') from None
        if not isinstance(items, list):
            raise _bad(f"must be a JSON list, not {type(items).__name__}")
        if len(items) > MOST_WORDS:
            raise _bad(f"are {len(items)}, at most {MOST_WORDS} are taken: send those this call is likely to need")
        chosen: dict[str, float] = {}
        for item in items:
            word, boost = _entry(item)
            chosen[_spelt(word, labels)] = boost
        return cls(tuple(chosen), tuple(chosen.values())) if chosen else None


class HotwordSearch:
    """Spots a stream's hotwords beside another search, or beside greedy decoding when there is none.

    Cost a frame is a few vector operations as long as all words together.
    """

    def __init__(self, spec: AcousticSpec, hotwords: Hotwords, beam: Any) -> None:
        """Lay the words' letters side by side.

        Args:
            spec: the acoustic model.
            hotwords: what to spot.
            beam: the search whose words are corrected.
        """
        self._spec = spec
        self._hotwords = hotwords
        self._beam = beam
        self._condenser = Condenser(spec.blank, spec.space)
        numbers = {character: number for number, character in enumerate(spec.labels)}
        spelt = [[spec.space, *(numbers[letter] for letter in word), spec.space] for word in hotwords.words]
        lengths = np.array([len(word) for word in spelt])
        self._ends = np.cumsum(lengths) - 1
        self._firsts = self._ends - lengths + 1
        self._letters = np.concatenate([np.array(word) for word in spelt])
        pairs = zip(hotwords.words, hotwords.boosts, strict=True)
        self._allowed = np.array([len(word) * boost for word, boost in pairs])
        before = np.roll(self._letters, 1)
        self._repeats = self._letters == before
        self._reset()

    def push(self, logprobs: NDArray[np.float32], frame: int) -> None:
        """Search on through rows float32 [n, classes] of the open phrase."""
        if self._beam:
            self._beam.push(logprobs, frame)
        self._advance(*self._condenser.push(logprobs, frame))

    def words(self) -> list[DecodedWord]:
        """The open phrase's complete words so far."""
        return self._corrected(self._beam.words()) if self._beam else []

    def finish(self) -> list[DecodedWord]:
        """End the phrase: all its words."""
        self._advance(*self._condenser.finish())
        space = np.full(self._spec.classes, _HOPELESS, np.float32)
        space[self._spec.space] = 0.0  # a phrase's last word needs no space after it
        self._advance([space], [self._frames[-1] + 1 if self._frames else 0])
        words = self._corrected(self._beam.finish() if self._beam else self._best_path())
        self._reset()
        return words

    def _reset(self) -> None:
        self._on_letter = np.full(len(self._letters), _HOPELESS)
        self._on_blank = np.full(len(self._letters), _HOPELESS)
        self._since_letter = np.zeros(len(self._letters), np.int64)
        self._since_blank = np.zeros(len(self._letters), np.int64)
        self._rows: list[NDArray[np.float32]] = []
        self._frames: list[int] = []
        self._hits: dict[tuple[int, int], tuple[float, int]] = {}  # (word, first row) -> (score, row after it)

    def _advance(self, rows: list[NDArray[np.float32]], frames: list[int]) -> None:
        for row, frame in zip(rows, frames, strict=True):
            if not self._rows:
                space = np.full(len(row), _HOPELESS, np.float32)
                space[self._spec.space] = 0.0
                self._step(space, frame)
            self._step(row, frame)

    def _step(self, row: NDArray[np.float32], frame: int) -> None:
        """One frame of token passing; scores are what a word falls short of the best path since it began."""
        now = len(self._rows)
        self._rows.append(row)
        self._frames.append(frame)
        short = row - row.max()
        from_letter = np.roll(self._on_letter, 1)
        from_blank = np.roll(self._on_blank, 1)
        from_letter[self._repeats] = _HOPELESS  # the same letter twice needs a blank between
        from_letter[self._firsts] = 0.0  # a word may begin at any frame
        from_blank[self._firsts] = _HOPELESS
        since_letter, since_blank = np.roll(self._since_letter, 1), np.roll(self._since_blank, 1)
        since_letter[self._firsts] = now
        best: NDArray[np.float64] = self._on_letter
        since: NDArray[np.int64] = self._since_letter
        for passed, origin in ((from_letter, since_letter), (from_blank, since_blank)):
            better = passed > best
            best, since = np.where(better, passed, best), np.where(better, origin, since)
        through_blank = self._on_letter > self._on_blank
        self._on_blank = np.where(through_blank, self._on_letter, self._on_blank) + short[self._spec.blank]
        self._since_blank = np.where(through_blank, self._since_letter, self._since_blank)
        self._on_letter, self._since_letter = best + short[self._letters], since
        scores = self._on_letter[self._ends] + self._allowed
        for word in np.flatnonzero(scores > 0).tolist():
            key = (word, int(self._since_letter[self._ends[word]]))
            score = float(scores[word])
            if score > self._hits.get(key, (0.0, 0))[0]:
                self._hits[key] = (score, now)

    def _best_path(self) -> list[DecodedWord]:
        """Greedy words of the condensed frames."""
        return split_words(collapse(self._spec, self._rows, self._frames, [int(row.argmax()) for row in self._rows]))

    def _corrected(self, words: list[DecodedWord]) -> list[DecodedWord]:
        """Put spotted words where they fit best, each in place of the words that lie there for the most part."""
        taken: list[tuple[int, int]] = []
        for (number, first), (_, last) in sorted(self._hits.items(), key=lambda hit: -hit[1][0]):
            if any(first < end and begin < last for begin, end in taken):
                continue
            taken.append((first, last))
            spotted = self._align(self._hotwords.words[number], first, last)
            begin, end = spotted[0].start, spotted[-1].end
            there = [i for i, word in enumerate(words) if begin <= (word.start + word.end - 1) / 2 <= end]
            at = there[0] if there else sum(word.start < begin for word in words)
            words = [*words[:at], *spotted, *words[at + len(there) :]]
        return words

    def _align(self, text: str, first: int, last: int) -> list[DecodedWord]:
        """Frames of a text's letters on the rows [first, last]: the best CTC alignment."""
        spec = self._spec
        target = [spec.space, *(spec.labels.index(letter) for letter in text), spec.space]
        path = align(np.stack(self._rows[first : last + 1]), target, spec.blank)
        return split_words(collapse(spec, self._rows[first : last + 1], self._frames[first : last + 1], path))


def align(rows: NDArray[np.float32], target: list[int], blank: int) -> list[int]:
    """The most likely CTC path of a label sequence (Viterbi).

    Args:
        rows: float32 [n, classes], natural-log probabilities.
        target: classes to emit, in order.
        blank: class of the blank.

    Returns:
        A class for each row.
    """
    states = [blank]
    for label in target:
        states += [label, blank]
    size = len(states)
    skip = np.array([i >= 2 and states[i] != blank and states[i] != states[i - 2] for i in range(size)])
    score = np.full(size, _HOPELESS)
    score[:2] = rows[0, states[:2]]
    back = np.zeros((len(rows), size), np.int64)
    for n in range(1, len(rows)):
        one, two = np.r_[_HOPELESS, score[:-1]], np.r_[_HOPELESS, _HOPELESS, score[:-2]]
        choices = np.stack([score, one, np.where(skip, two, _HOPELESS)])
        back[n] = choices.argmax(axis=0)
        score = choices.max(axis=0) + rows[n, states]
    at = size - 1 if score[-1] > score[-2] else size - 2
    path = []
    for n in range(len(rows) - 1, -1, -1):
        path.append(states[at])
        at -= int(back[n, at])
    return path[::-1]


def _entry(item: Any) -> tuple[str, float]:
    """Word and boost of one item of the list."""
    if isinstance(item, str):
        return item, DEFAULT_BOOST
    if not isinstance(item, dict) or not isinstance(item.get("word"), str) or set(item) - {"word", "boost"}:
        shown = json.dumps(item, ensure_ascii=False)
        raise _bad(f'must be strings or objects with "word" and "boost", not {shown:.60}')
    boost = item.get("boost", DEFAULT_BOOST)
    if isinstance(boost, bool) or not isinstance(boost, (int, float)) or not LEAST_BOOST <= boost <= MOST_BOOST:
        word = item["word"]
        raise _bad(f"take a boost of {LEAST_BOOST:g} to {MOST_BOOST:g} for a letter, not {boost!r:.40} ({word:.40})")
    return item["word"], float(boost)


def _spelt(word: str, labels: str) -> str:
    """A word in the acoustic model's letters."""
    text = " ".join(word.lower().replace("-", " ").split())
    foreign = sorted({letter for letter in text if letter not in labels})
    if foreign:
        raise _bad(
            f"must be spelt as they sound, in the letters {labels.strip()!r}: {word!r:.60} has "
            f"{', '.join(repr(letter) for letter in foreign[:5])}; write digits and Latin names as spoken words"
        )
    if not 3 <= len(text) <= LONGEST:
        length = len(text)
        raise _bad(f"must have 3 to {LONGEST} letters: {word!r:.60} has {length}; add the words around it, or drop it")
    return text


def _bad(message: str) -> StreamError:
    return StreamError(Code.BAD_OPTION, f"hotwords {message}")
