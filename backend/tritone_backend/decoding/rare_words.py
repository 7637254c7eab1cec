"""Words that a language model knows only by class: `*`, the number of their group, their ending. Reads their list.

A list lies beside its model, NAME.words.xz beside NAME.bin: a line a word, an empty line between groups. A word
belongs to the class of its group with the longest ending that the model has.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from tritone_backend.errors import ModelError
from tritone_backend.models.description import RARE_WORDS_SUFFIX

CLASS = "*"
_CLASS = re.compile(r"\*\d+[^\W\d_]*")
MOST_WORDS = 1_000_000
LONGEST_ENDING = 3


def is_class(unit: str) -> bool:
    """Whether a unit of a language model is a class of words; a starred word of somebody's texts is none."""
    return _CLASS.fullmatch(unit) is not None


def read_rare_words(model: Path, classes: Collection[str]) -> Iterator[tuple[str, str]]:
    """Words with their classes.

    Args:
        model: the language model's file.
        classes: those of its units that are classes.

    Yields:
        Word, class.

    Raises:
        ModelError: the list is missing, broken, too long, or of another model.
    """
    path = model.with_suffix(RARE_WORDS_SUFFIX)
    try:
        with lzma.open(path, "rt", encoding="utf-8") as stream:
            text = stream.read(MOST_WORDS * 2 * 24)
    except FileNotFoundError:
        raise ModelError(f"{model.name} needs {path.name} beside it: copy both files") from None
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read {path}: {error}; copy it again") from None
    if text.count("\n") > MOST_WORDS:
        raise ModelError(f"{path} has more than {MOST_WORDS} words")
    for number, group in enumerate(text.split("\n\n")):
        known: dict[str, str] = {}  # by the last letters: there are many words and few endings
        for word in group.split():
            end = word[-LONGEST_ENDING - 1 :]
            if end not in known:
                known[end] = _class_of(word, f"{CLASS}{number}", classes, path)
            yield word, known[end]


def _class_of(word: str, group: str, classes: Collection[str], path: Path) -> str:
    for length in range(min(LONGEST_ENDING, len(word) - 1), -1, -1):
        name = group + word[len(word) - length :]
        if name in classes:
            return name
    raise ModelError(f"{path} does not belong to the language model beside it: no class for {word!r:.40}; copy both")
