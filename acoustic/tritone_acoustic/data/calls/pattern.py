"""Compiles sentence patterns once, so that drawing a sentence is only choices and joins.

Only the notation: {slot}, [alternative|other]; what the slots mean is the caller's.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

Slot = Callable[[random.Random], str]
_TOKEN = re.compile(r"\{([^{}]+)\}|\[([^\[\]]*)\]")
_SPACES = re.compile(r"\s+(?=[,.?!:]|$)|\s+(?=\s)|^\s+")


class Pattern:
    """A sentence pattern.

    Args:
        text: words, {slot} names and [alternatives|separated by bars]; alternatives may hold slots, not brackets.
        find: gives the drawing function of a slot name; may raise KeyError.
    """

    def __init__(self, text: str, find: Callable[[str], Slot]) -> None:
        self._parts: list[str | Slot | list[Pattern]] = []
        end = 0
        for match in _TOKEN.finditer(text):
            self._parts.append(text[end : match.start()])
            slot, choices = match.groups()
            self._parts.append(find(slot) if slot else [Pattern(choice, find) for choice in choices.split("|")])
            end = match.end()
        self._parts.append(text[end:])

    def _draw(self, rng: random.Random) -> str:
        words: list[str] = []
        for part in self._parts:
            if isinstance(part, str):
                words.append(part)
            elif isinstance(part, list):
                words.append(rng.choice(part)._draw(rng))
            else:
                words.append(part(rng))
        return "".join(words)

    def fill(self, rng: random.Random) -> str:
        """Draws a sentence.

        Args:
            rng: source of randomness.

        Returns:
            Text that starts with a capital, without double spaces.
        """
        text = _SPACES.sub("", self._draw(rng))
        return text[:1].upper() + text[1:]
