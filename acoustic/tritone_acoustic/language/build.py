"""Builds the shipped language model from the training texts: `python -m tritone_acoustic.data lm`.

The estimator is in `kneser_ney`, the units in `units`; this module chooses texts and sizes.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritone_acoustic.data.console import say
from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.frequencies import read_frequencies
from tritone_acoustic.data.normalize import ALPHABET, fold_yo, is_held_out, normalize
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.templates import call_sentence, reply
from tritone_acoustic.data.texts import QUOTING_SOURCES, fingerprint, read_rows
from tritone_acoustic.data.word_forms import Exchange, read_forms
from tritone_acoustic.language.kenlm_file import pack
from tritone_acoustic.language.kneser_ney import KneserNey, Prior
from tritone_acoustic.language.rare_words import RareWords
from tritone_acoustic.language.units import Pieces, letter_pieces

LIMIT_MB = 10.0
_SEED = 5


@dataclass(frozen=True)
class Recipe:
    """Sizes of the language model; what was tried is in docs/decisions.md.

    Attributes:
        order: longest n-gram.
        cutoffs: per order, counts up to this are pruned.
        least: occurrences that make a word a unit of its own.
        merges: byte-pair merges for the pieces of all other words.
        calls: telephone sentences drawn from the templates.
        replies: short replies drawn from them.
        exchanged: rounds of the texts with words exchanged for others that end alike: which endings go together.
        prior: share of the probability of single units that is taken from how common words are elsewhere.
        bits: of a weight in the file.
    """

    order: int = 4
    cutoffs: tuple[int, ...] = (0, 0, 1, 2)
    least: int = 2
    merges: int = 2_000
    calls: int = 60_000
    replies: int = 8_000
    exchanged: int = 1
    prior: float = 0.2
    bits: int = 8


def build(paths: DataPaths, target: Path, recipe: Recipe | None = None) -> None:
    """Estimate, prune and pack the language model.

    Args:
        paths: the data folder, after `texts`.
        target: the KenLM binary; replaced.
        recipe: sizes.

    Raises:
        TrainingDataError: there are no texts, or the file came out too large.
        AcousticError: KenLM cannot pack it.
    """
    recipe = recipe or Recipe()
    sentences = list(_sentences(paths, recipe))
    made = list(_exchanged(paths, recipe))
    counts = Counter(word for words in sentences for word in words)
    whole = {word for word, count in counts.items() if count >= recipe.least or len(word) == 1}
    rare = RareWords(read_forms(paths.texts / "forms.txt"), whole)
    say(f"{len(sentences)} sentences, {sum(counts.values())} words, {len(counts)} distinct, {len(whole)} of them units")
    pieces = Pieces((word for word in counts if len(word) > 3), recipe.merges)
    sentences += made
    say(f"{len(made)} sentences more with exchanged words")
    words_of_all = counts.keys() | {word for words in made for word in words}

    def spell(word: str) -> list[str]:
        known = word if word in whole else rare.class_of(word)
        return [known] if known else pieces.split(word)

    spelt = {word: spell(word) for word in sorted(words_of_all)}
    used = {unit for units in spelt.values() for unit in units}
    vocabulary = sorted(used | rare.members.keys() | set(letter_pieces(ALPHABET.strip())))
    number = {unit: index for index, unit in enumerate(vocabulary)}
    coded = {word: [number[unit] for unit in units] for word, units in spelt.items()}
    rows = [np.array([unit for word in words for unit in coded[word]], np.int64) for words in sentences]
    prior = Prior(_how_common(paths, vocabulary, rare), recipe.prior)
    model = KneserNey(vocabulary, rows, recipe.order, recipe.cutoffs, prior)
    say(f"{recipe.order}-gram model: " + ", ".join(f"{size} of {n}" for n, size in enumerate(model.sizes(), 1)))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        arpa = Path(folder) / "model.arpa"
        model.write_arpa(arpa, np.array([len(rare.members.get(unit, [unit])) for unit in vocabulary], np.int64))
        pack(arpa, target, recipe.bits)
        rare.write(target.with_suffix(".words.xz"))
        megabytes = target.stat().st_size / 1e6
        say(f"{target}: {megabytes:.1f} MB (as text {arpa.stat().st_size / 1e6:.1f} MB)")
    if megabytes > LIMIT_MB:
        raise TrainingDataError(
            f"the language model has {megabytes:.1f} MB, more than {LIMIT_MB:g}: raise the cut-offs"
        )


def _how_common(paths: DataPaths, vocabulary: list[str], rare: RareWords) -> NDArray[np.float64]:
    """Probability of every unit in other people's texts; a class's is that of its words. Pieces have none."""
    steps = read_frequencies(paths.frequencies)
    common: dict[str, float] = {}
    for word, step in steps.items():
        folded = fold_yo(word)
        common[folded] = common.get(folded, 0.0) + 10.0 ** (-step / 100)
    found = [sum(common.get(fold_yo(word), 0.0) for word in rare.members.get(unit, [unit])) for unit in vocabulary]
    return np.array(found) / sum(found)


def _sentences(paths: DataPaths, recipe: Recipe) -> Iterator[list[str]]:
    """Every training sentence once and many telephone sentences; held-out and test sentences never."""
    if not (paths.texts / "train.tsv").exists():
        raise TrainingDataError("no sentences yet: run `python -m tritone_acoustic.data texts` first")
    rng = random.Random(_SEED)  # noqa: S311  (no secrets)
    texts = _texts(paths)
    texts += [call_sentence(rng) for _ in range(recipe.calls)]
    texts += [reply(rng) for _ in range(recipe.replies)]
    yield from _permitted(paths, texts)


def _exchanged(paths: DataPaths, recipe: Recipe) -> Iterator[list[str]]:
    """The training sentences again with other words in them, if there is a list of word forms."""
    forms = read_forms(paths.texts / "forms.txt")
    exchange = Exchange(forms, random.Random(_SEED))  # noqa: S311  (no secrets)
    texts = _texts(paths) * recipe.exchanged if forms else []
    yield from _permitted(paths, [exchange(sentence) for sentence in texts])


def _texts(paths: DataPaths) -> list[str]:
    """The training sentences without a dictionary's: those doubled the model's size and took no errors away."""
    return [sentence for source, sentence in read_rows(paths.texts / "train.tsv") if source not in QUOTING_SOURCES]


def _permitted(paths: DataPaths, texts: list[str]) -> Iterator[list[str]]:
    """Words of the sentences that are neither held out nor test sentences."""
    excluded = {int(line) for line in (paths.texts / "excluded.txt").read_text().split()}
    for text in texts:
        label = normalize(text)
        if label and not is_held_out(label) and fingerprint(label) not in excluded:
            yield label.split()
