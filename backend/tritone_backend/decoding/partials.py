"""What partials show: the search's words as far as it is, greedy decoding's after that, and words that stay put.

A word shown in two partials in a row is kept as it is until the final: people read partials while they change.
"""

from __future__ import annotations

from tritone_backend.decoding.words import DecodedPhrase, DecodedWord


class StablePartial:
    """The partials of one phrase after the other. For one thread at a time."""

    def __init__(self) -> None:
        self._start = -1
        self._kept: list[DecodedWord] = []
        self._before: list[DecodedWord] = []

    def show(self, start: int, greedy: DecodedPhrase, searched: list[DecodedWord]) -> DecodedPhrase | None:
        """The next partial, None when it is the one that was shown last.

        Args:
            start: frame at which the phrase began; another one than before means another phrase.
            greedy: the whole phrase so far as greedy decoding has it; its last word may be growing.
            searched: the first words of the phrase as the search has them, possibly behind; complete ones only.
        """
        if start != self._start:
            self._start, self._kept, self._before = start, [], []
        words = _continued(self._kept, _continued(searched, greedy.words))
        stay = len(self._kept)
        # The last word may still grow, so it cannot be kept.
        while stay < min(len(words) - 1, len(self._before)) and words[stay].text == self._before[stay].text:
            stay += 1
        same = [word.text for word in words] == [word.text for word in self._before]
        self._kept = words[:stay]
        self._before = words
        return None if same else DecodedPhrase.of(words)


def _continued(words: list[DecodedWord], others: list[DecodedWord]) -> list[DecodedWord]:
    """Words, and those of the others that lie behind them for the most part, without letters that were there already.

    Greedy decoding may hear "накафель" where the search knows by now that the first word was "на".
    """
    if not words:
        return others
    end = words[-1].end
    rest = [word.behind(end) for word in others if word.start + word.end >= 2 * end]
    return words + [word for word in rest if word]
