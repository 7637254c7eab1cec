"""A tiny language model as ARPA text, and log-probs that say what a test wants."""

from pathlib import Path

import numpy as np
import pytest
from tritone_backend.decoding.language import LanguageModel
from tritone_backend.decoding.words import DecodedWord, Token, split_words

pytest.importorskip("flashlight.lib.text.decoder", reason="needs pip install 'tritone[language]'")

WORDS = ("мама", "мыла", "раму", "да", "нет")
PIECES = tuple(form for letter in "абвгдеёжзийклмнопрстуфхцчшщъыьэюя" for form in (letter, "+" + letter))


def arpa(units, bigrams=()) -> str:
    lines = ["\\data\\", f"ngram 1={len(units) + 3}", *([f"ngram 2={len(bigrams)}"] if bigrams else []), ""]
    lines += ["\\1-grams:", "-3\t<unk>\t0", "-99\t<s>\t-0.3", "-1\t</s>\t0"]
    lines += [f"{-2 if unit in WORDS else -3.5}\t{unit}\t-0.3" for unit in units]
    if bigrams:
        lines += ["", "\\2-grams:", *(f"-0.3\t{first} {second}" for first, second in bigrams)]
    return "\n".join([*lines, "", "\\end\\", ""])


@pytest.fixture(scope="session")
def arpa_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("lm") / "pieces.arpa"
    path.write_text(arpa((*WORDS, *PIECES), [("мама", "мыла"), ("мыла", "раму")]), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def language(arpa_file, spec) -> LanguageModel:
    return LanguageModel(arpa_file, spec)


def rows(text: str, spec, second: str = "", certainty: float = 0.9, doubt: float = 0.45) -> np.ndarray:
    """float32 [len(text), classes]: a frame a character, '-' for blank. Where ``second`` differs, both are likely."""
    second = second or text
    result = np.full((len(text), spec.classes), np.log(0.1 / spec.classes), np.float32)
    for frame, (first, other) in enumerate(zip(text, second, strict=True)):
        for character, share in ((first, certainty if first == other else doubt + 0.05), (other, doubt)):
            number = spec.blank if character == "-" else spec.labels.index(character)
            result[frame, number] = max(result[frame, number], np.log(share))
    return result


def spoken(text: str, frames: int = 10) -> list[DecodedWord]:
    """Words of which one begins every so many frames, a letter a frame."""
    tokens: list[Token] = []
    for index, word in enumerate(text.split()):
        tokens += [Token(frames * index + at, letter, 0.9) for at, letter in enumerate(word)]
        tokens.append(Token(frames * index + len(word), " ", 0.9))
    return split_words(tokens)
