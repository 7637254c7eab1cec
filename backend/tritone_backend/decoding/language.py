"""A KenLM model and the spelling of its units: what all beam searches of a service share. The search is in `beam`.

A unit is a word; in a model with pieces also a piece of one: '+ка' goes on where a word stands so far. Whether a model
has pieces shows from its vocabulary. A model of whole words knows no other word, so it gets every letter as a piece.
A unit may also be a class of words, which are listed beside the model (`rare_words`).
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

from tritone_backend.decoding.rare_words import is_class, read_rare_words
from tritone_backend.errors import ModelError
from tritone_backend.spec import AcousticSpec

JOINT = "+"
MAX_UNITS = 200_000
"""Units in the lexicon, the most frequent ones; rarer words of a larger model are spelt by its pieces or letters."""
_FEW = 0.5
"""Least share of a vocabulary that must be spelt in the acoustic model's letters."""
_COUNTS_AT = 108
"""Where a KenLM binary (format 5) says how many n-grams of each order it has."""
_SPECIAL = frozenset({"<unk>", "<UNK>", "<s>", "</s>"})
_MAGIC = b"mmap lm http://kheafield.com/code"


class LanguageModel:
    """An n-gram model with its lexicon; read-only once made, so that any number of streams and threads share it.

    Attributes:
        path: the file.
        units: its units as text, in the order of their numbers, without classes.
        words: words and pieces that the lexicon has.
    """

    def __init__(self, path: Path, spec: AcousticSpec) -> None:
        """Map the model and build the lexicon.

        Args:
            path: KenLM binary with its vocabulary, or an ARPA file, possibly gzipped.
            spec: the acoustic model whose letters it must be spelt in.

        Raises:
            ModelError: the file is missing, no language model, or of another alphabet; or the decoder's packages are.
        """
        try:
            from flashlight.lib.text.decoder import SmearingMode, Trie
            from flashlight.lib.text.decoder.kenlm import KenLM
            from flashlight.lib.text.dictionary import Dictionary
        except ImportError:
            raise ModelError(
                "beam search needs a package that is not here: pip install 'tritone[language]', or --decoder greedy"
            ) from None
        self.path = path
        vocabulary = read_vocabulary(path)
        classes = [unit for unit in vocabulary if is_class(unit)]
        self.units = _spelt([unit for unit in vocabulary if not is_class(unit)], spec)
        numbers = {character: number for number, character in enumerate(spec.labels)}
        names = Dictionary()
        spellings: list[list[int]] = []
        space = spec.space
        for unit in self.units:
            names.add_entry(unit)
            spelling = [numbers[letter] for letter in unit.strip(JOINT)]
            spellings.append(spelling if unit.startswith(JOINT) else [space, *spelling])
        if not any(unit.startswith(JOINT) for unit in self.units):
            for letter in sorted(set(spec.labels) - {" "}):  # each costs what an unknown word does
                for name, before in ((JOINT + letter, []), (JOINT + letter + JOINT, [space])):
                    names.add_entry(name)
                    spellings.append([*before, numbers[letter]])
        for name in classes:
            names.add_entry(name)
        class_numbers = {name: names.get_index(name) for name in classes}
        try:
            self.model: Any = KenLM(str(path), names)
        except (RuntimeError, ValueError) as error:  # a ValueError where KenLM quotes bytes of a binary file
            raise ModelError(f"KenLM cannot load {path}: {_last_line(error)}") from None
        self.lexicon: Any = Trie(spec.classes, spec.space)
        start = self.model.start(False)
        scores = [self.model.score(start, number)[1] for number in range(len(spellings))]
        chosen = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[:MAX_UNITS]
        for number in sorted({*chosen, *range(len(self.units), len(spellings))}):
            self.lexicon.insert(spellings[number], number, scores[number])
        self.words = len(chosen) + self._add_rare(spec, numbers, start, class_numbers)
        self.lexicon.smear(SmearingMode.MAX)

    def _add_rare(self, spec: AcousticSpec, numbers: dict[str, int], start: Any, classes: dict[str, int]) -> int:
        """Put the words of the model's classes into the lexicon; how many they are."""
        if not classes:
            return 0
        scores = {name: self.model.score(start, number)[1] for name, number in classes.items()}
        count, space, number_of = 0, spec.space, numbers.__getitem__
        for word, name in read_rare_words(self.path, classes.keys()):
            try:
                spelling = [space, *map(number_of, word)]
            except KeyError:
                continue  # not in this model's letters
            self.lexicon.insert(spelling, classes[name], scores[name])
            count += 1
        return count


def read_vocabulary(path: Path) -> list[str]:
    """Every unit of a KenLM binary or an ARPA file, the special ones included.

    Raises:
        ModelError: the file is missing or neither.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
        if head == _MAGIC:
            return _binary_vocabulary(path)
        opener: Any = gzip.open if head[:2] == b"\x1f\x8b" else open
        with opener(path, "rt", encoding="utf-8") as stream:
            return _arpa_vocabulary(stream, path)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"cannot read the language model {path}: {reason}") from None
    except UnicodeDecodeError:
        raise _no_model(path) from None


def _spelt(vocabulary: list[str], spec: AcousticSpec) -> list[str]:
    """The units that the acoustic model can spell. Raises ModelError when they are few: it is another language's."""
    letters = frozenset(spec.labels) - {" "}
    words = [word for word in vocabulary if word not in _SPECIAL]
    units = [word for word in words if letters.issuperset(word.strip(JOINT)) and word.strip(JOINT)]
    if not units or len(units) < _FEW * len(words):
        known = set(units)
        example = next((word for word in words if word not in known), "")
        raise ModelError(
            f"the language model has another alphabet: {len(words) - len(units)} of its {len(words)} words, such as "
            f"{example!r:.40}, are not spelt in the acoustic model's {spec.labels!r}: build one from lower-case text"
        )
    return units


def _binary_vocabulary(path: Path) -> list[str]:
    """KenLM writes the words at the end of the file, the unknown word first, each with a zero byte."""
    data = path.read_bytes()
    begin = data.rfind(b"<unk>\0")
    if begin < 0:
        raise ModelError(f"{path} was built without its vocabulary: build it anew with KenLM's build_binary, no -i")
    words = data[begin:].decode("utf-8", "replace").split("\0")[:-1]
    (expected,) = struct.unpack_from("<Q", data, _COUNTS_AT)
    if len(words) != expected:
        raise ModelError(f"{path} is cut short: it has {len(words)} of its {expected} words; copy it again")
    return words


def _arpa_vocabulary(lines: Any, path: Path) -> list[str]:
    words: list[str] = []
    inside = False
    for number, line in enumerate(lines):
        text = line.strip()
        if not inside:
            if number > 20 or (number == 0 and text not in ("", "\\data\\")):
                raise _no_model(path)
            inside = text == "\\1-grams:"
        elif text.startswith("\\"):
            return words
        elif text:
            words.append(text.split("\t")[1])
    raise _no_model(path)


def _no_model(path: Path) -> ModelError:
    return ModelError(f"{path} is not a language model: give a KenLM binary (build_binary) or an ARPA file")


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1][:200] if str(error).strip() else type(error).__name__
