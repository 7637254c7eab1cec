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
from tritone_backend.decoding.settings import BeamSettings
from tritone_backend.decoding.words import DecodedWord, Token, collapse, split_words
from tritone_backend.spec import AcousticSpec

_NEVER = -30.0
NO_WORD = -8.0
"""Log-prob that a phrase has no word at all: the endpointer takes noise for speech now and then."""
PRUNE_AT = 400
"""Condensed frames, about 20 s of speech, after which the oldest part of a phrase is settled, so that memory ends."""
LOOK_BACK = 150


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
        self._condenser = Condenser(spec.blank, spec.space)
        self._open = False
        self._rows: list[NDArray[np.float32]] = []
        self._frames: list[int] = []
        self._settled: list[Token] = []

    def push(self, logprobs: NDArray[np.float32], frame: int) -> None:
        """Search on through float32 [n, classes] of the open phrase, whose first row is stream frame ``frame``."""
        if not self._open:
            self._open = True
            self._search.decode_begin()
        self._advance(*self._condenser.push(logprobs, frame))
        if len(self._rows) > PRUNE_AT:
            self._settle()

    def words(self) -> list[DecodedWord]:
        """The open phrase's words so far, without the one that is being spoken."""
        if not self._rows:
            return []
        # The best path as far as its last unit; a word is complete once the space of the next one is there.
        tokens = self._settled + self._read(self._search.get_best_hypothesis(0).tokens)
        while tokens and tokens[-1].character != " ":
            tokens.pop()
        return split_words(tokens)

    def finish(self) -> list[DecodedWord]:
        """End the phrase: all its words. The next push begins another one."""
        if not self._open:
            return []
        rows, frames = self._condenser.finish()
        if rows and int(rows[-1].argmax()) in self._silent:
            rows[-1] = self._silence(rows[-1])
        self._advance(rows, frames)
        words: list[DecodedWord] = []
        if self._rows:
            self._search.decode_end()
            words = split_words(self._settled + self._read(self._search.get_best_hypothesis(0).tokens))
        self._open = False
        self._rows, self._frames, self._settled = [], [], []
        self._search.decode_begin()  # lets go of the phrase's hypotheses
        return words

    def _advance(self, rows: list[NDArray[np.float32]], frames: list[int]) -> None:
        if not rows:
            return
        fresh = np.stack(rows)
        if not self._rows:
            # Every word begins with a space, and a phrase has none before its first one; if it has a word at all.
            space = np.full((1, fresh.shape[1]), _NEVER, np.float32)
            space[0, self._spec.space] = 0.0
            space[0, self._spec.blank] = NO_WORD
            if int(fresh[0].argmax()) in self._silent:
                fresh[0] = self._silence(fresh[0])
            fresh = np.concatenate([space, fresh])
            frames = [frames[0], *frames]
        fresh = np.ascontiguousarray(fresh)
        self._search.decode_step(fresh.ctypes.data, len(fresh), fresh.shape[1])
        self._rows.extend(fresh)
        self._frames.extend(frames)

    def _silence(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """A silent row at either end of a phrase, where a space means no more than a blank."""
        row = row.copy()
        row[self._spec.blank] = np.logaddexp(row[self._spec.blank], row[self._spec.space])
        return row

    def _settle(self) -> None:
        """Fix the oldest part of a long phrase and forget its hypotheses."""
        tokens = self._search.get_best_hypothesis(LOOK_BACK).tokens
        done = len(tokens) - 1
        if done < 1:
            return
        self._settled += self._read(tokens)
        self._search.prune(LOOK_BACK)
        del self._rows[:done], self._frames[:done]

    def _read(self, classes: list[int]) -> list[Token]:
        """Letters and spaces of a path; its first entry stands before the first row."""
        return collapse(self._spec, self._rows, self._frames, classes[1:])
