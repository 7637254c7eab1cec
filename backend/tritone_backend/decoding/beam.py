"""The beam search of one stream, a phrase at a time: CTC over the language model's units. No threads here.

The search itself is Flashlight's; this feeds it condensed frames and reads words with their frames out of it.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritone_backend.decoding.condense import Condenser
from tritone_backend.decoding.language import LanguageModel
from tritone_backend.decoding.path_words import PathWords
from tritone_backend.decoding.rescue import LOST_LETTERS, gap
from tritone_backend.decoding.settings import BeamSettings
from tritone_backend.decoding.words import DecodedWord, Token, collapse, split_words
from tritone_backend.spec import AcousticSpec

_NEVER = -30.0
NO_WORD = -8.0
"""Log-prob that a phrase has no word at all: the endpointer takes noise for speech now and then."""
PRUNE_AT = 400
"""Condensed frames, about 20 s of speech, after which the oldest part of a phrase is settled, so that memory ends."""
LOOK_BACK = 150
MOST_RESCUES = 8
"""Gaps of one stretch after each of which the search begins anew; what follows the last one stays greedy."""


class BeamDecoder:
    """Searches one phrase after the other; a phrase in other pieces gives the same words."""

    def __init__(self, spec: AcousticSpec, language: LanguageModel, settings: BeamSettings) -> None:
        """Make a search over a shared language model."""
        from flashlight.lib.text.decoder import CriterionType, LexiconDecoder, LexiconDecoderOptions

        options = LexiconDecoderOptions(
            settings.beam,
            settings.tokens,
            settings.threshold,
            settings.lm_weight,
            settings.unit_bonus,
            -inf,  # no word outside the lexicon
            0.0,
            False,
            CriterionType.CTC,
        )
        self._spec = spec
        self._silent = (spec.blank, spec.space)
        # With the blank as the silence too: every word brings its space, and nothing else does.
        self._search: Any = LexiconDecoder(
            options, language.lexicon, language.model, spec.blank, spec.blank, -1, [], False
        )
        self._penalty = np.zeros(spec.classes, np.float32)
        self._penalty[spec.blank] = settings.blank_penalty
        self._condenser = Condenser(spec.blank, spec.space)
        self._open = False
        self._rows: list[NDArray[np.float32]] = []
        self._frames: list[int] = []
        self._settled: list[Token] = []
        self._shown: PathWords | None = None  # of the words shown, since rows were last settled
        self._begun = False  # the row before a phrase's first one is there

    def push(self, logprobs: NDArray[np.float32], frame: int) -> None:
        """Search on through float32 [n, classes] of the open phrase, whose first row is stream frame ``frame``."""
        if not self._open:
            self._open = True
            self._search.decode_begin()
        self._advance(*self._condenser.push(logprobs - self._penalty, frame))
        if len(self._rows) > PRUNE_AT:
            self._settle()

    def words(self) -> list[DecodedWord]:
        """The open phrase's words so far, without the one that is being spoken."""
        # The best path as far as its last unit; a word is complete once the space of the next one is there. The path's
        # first entry stands before the first row.
        path = self._search.get_best_hypothesis(0).tokens[1:] if self._rows else []
        if self._shown is None:
            self._shown = PathWords(self._spec, self._settled)
        return self._shown.read(path, self._rows, self._frames)

    def finish(self) -> list[DecodedWord]:
        """End the phrase: all its words. The next push begins another one."""
        if not self._open:
            return []
        rows, frames = self._condenser.finish()
        if rows and int(rows[-1].argmax()) in self._silent:
            rows[-1] = self._silence(rows[-1])
        self._advance(rows, frames)
        if self._rows:
            self._rescue(ends=True)
        words = split_words(self._settled)
        self._open = self._begun = False
        self._rows, self._frames, self._settled, self._shown = [], [], [], None
        self._search.decode_begin()  # lets go of the phrase's hypotheses
        return words

    def _advance(self, rows: list[NDArray[np.float32]], frames: list[int]) -> None:
        if not rows:
            return
        fresh = np.stack(rows)
        if not self._begun:
            self._begun = True
            # Every word begins with a space, and a phrase has none before its first one; if it has a word at all.
            space = np.full((1, fresh.shape[1]), _NEVER, np.float32)
            space[0, self._spec.space] = 0.0
            space[0, self._spec.blank] = NO_WORD
            if int(fresh[0].argmax()) in self._silent:
                fresh[0] = self._silence(fresh[0])
            fresh = np.concatenate([space, fresh])
            frames = [frames[0], *frames]
        self._step(fresh)
        self._rows.extend(fresh)
        self._frames.extend(frames)

    def _silence(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """A silent row at either end of a phrase, where a space means no more than a blank."""
        row = row.copy()
        row[self._spec.blank] = np.logaddexp(row[self._spec.blank], row[self._spec.space])
        return row

    def _step(self, rows: NDArray[np.float32]) -> None:
        rows = np.ascontiguousarray(rows)
        self._search.decode_step(rows.ctypes.data, len(rows), rows.shape[1])

    def _settle(self) -> None:
        """Fix the oldest part of a long phrase and forget its hypotheses."""
        self._shown = None
        self._rescue(ends=False)
        tokens = self._search.get_best_hypothesis(LOOK_BACK).tokens
        done = len(tokens) - 1
        if done < 1:
            return
        self._settled += collapse(self._spec, self._rows, self._frames, tokens[1:])
        self._search.prune(LOOK_BACK)
        del self._rows[:done], self._frames[:done]

    def _rescue(self, *, ends: bool) -> None:
        """Settle what the search left out as greedy decoding has it, and search on behind it.

        Args:
            ends: it is the phrase's end: settle all.
        """
        for turn in range(MOST_RESCUES + 1):
            if ends:
                self._search.decode_end()
            path, dead = self._best_path()
            # Where no hypothesis is between units any letter that is missing shows that the last unit is wrong.
            lost = gap(self._spec, self._rows, path, 1 if dead and ends else LOST_LETTERS)
            if lost is None:
                if ends:
                    self._settled += collapse(self._spec, self._rows, self._frames, path)
                return
            first, after = lost
            if turn == MOST_RESCUES:
                after = len(self._rows)
            greedy = [int(row.argmax()) for row in self._rows[first:after]]
            self._settled += collapse(self._spec, self._rows, self._frames, path[:first])
            self._settled += collapse(self._spec, self._rows[first:after], self._frames[first:after], greedy)
            del self._rows[:after], self._frames[:after]
            self._search.decode_begin()
            if not self._rows:
                return
            self._step(np.stack(self._rows))

    def _best_path(self) -> tuple[list[int], bool]:
        """A class for each row, unfinished unit included, and whether every hypothesis is inside a unit."""
        found = self._search.get_all_final_hypothesis()
        if not found:
            return [self._spec.blank] * len(self._rows), True
        best = max(found, key=lambda one: one.score)
        tokens = best.tokens[1 : len(self._rows) + 1]
        last = max((row for row, word in enumerate(best.words) if word >= 0), default=0)
        return tokens, any(token != self._spec.blank for token in best.tokens[last + 1 : len(self._rows) + 1])
