"""The sentence lists and the mix in which training draws from them.

Sources are in `corpora` and `templates`; this module splits, stores and samples.
"""

from __future__ import annotations

import gzip
import random
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from tritone_acoustic.data.console import say
from tritone_acoustic.data.corpora import read_corpora, read_festvox_text
from tritone_acoustic.data.normalize import fold_yo, is_held_out, normalize
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.templates import call_sentence, reply
from tritone_acoustic.data.word_forms import Exchange, Favourites, read_forms, read_word_forms

# Share of each source in what is synthesised.
MIX = {"corpora": 0.46, "calls": 0.24, "replies": 0.06, "words": 0.21, "recorded": 0.03}
EXCHANGED = 0.6
"""Share of the corpora's sentences in which words are exchanged for others: nothing can be learnt by heart."""
DEV_SENTENCES = 120
DEV_SOURCES = ("aphorisms", "help", "dialogue")
"""Sources of the development set: those of its first version, so that numbers stay comparable."""
FORMS = 700_000
COMMON_FORMS = 320_000
"""Of these, what training sentences get; the language model knows all of them."""
QUOTING_SOURCES = ("examples", "definitions")
"""Sources that quote books and the press, so that a sentence of them may hold a part of a recorded one."""
RUN = 5
"""A sentence of these that shares so many words in a row with a recording kept for evaluation is not used."""
_SEED = 20240517


def prompt_transcripts(paths: DataPaths) -> dict[str, str]:
    """Reads what the telephone prompts say: the test set's texts.

    Args:
        paths: the data folder, after `fetch`.

    Returns:
        Prompt name -> normalised transcript; tones, names of files and foreign words are left out.
    """
    with gzip.open(paths.asterisk_text, "rt", encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    result: dict[str, str] = {}
    for line in lines:
        match = re.match(r"([A-Za-z0-9_/.-]+):\s*(.*)", line)
        if not match or line.startswith(";"):
            continue
        name, text = match.groups()
        text = re.sub(rf"^{re.escape(name)}:\s*", "", text)
        text = re.sub(r"\b([Чч])то бы\b", r"\1тобы", text)  # the prompts say the conjunction
        if text and not re.search(r"[\[\]()<>A-Za-z]", text) and normalize(text):
            result[name] = normalize(text)
    return result


def fingerprint(label: str) -> int:
    """Hashes a transcript, ignoring ё.

    Args:
        label: normalised text.

    Returns:
        A 32-bit number.
    """
    return zlib.crc32(fold_yo(label).encode())


def runs(label: str) -> set[tuple[str, ...]]:
    """Lists the runs of RUN words in a transcript, ignoring ё.

    Args:
        label: normalised text.

    Returns:
        Every run; none if the text is shorter.
    """
    words = fold_yo(label).split()
    return {tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}


def _without_quotations(corpora: dict[str, list[str]], kept_apart: Iterable[str]) -> dict[str, list[str]]:
    """Drops the sentences of QUOTING_SOURCES that share a run of words with transcripts kept for evaluation."""
    known = {run for label in kept_apart for run in runs(label)}
    kept = {
        source: [text for text in sentences if known.isdisjoint(runs(normalize(text)))]
        for source, sentences in corpora.items()
        if source in QUOTING_SOURCES
    }
    dropped = sum(len(corpora[source]) - len(sentences) for source, sentences in kept.items())
    say(f"{dropped} sentences have {RUN} words in a row with a test transcript and are left out")
    return corpora | kept


def write_texts(paths: DataPaths) -> None:
    """Writes train.tsv, dev.tsv (source, sentence), excluded.txt (fingerprints of test transcripts) and forms.txt.

    Args:
        paths: the data folder, after `fetch`.
    """
    paths.texts.mkdir(parents=True, exist_ok=True)
    say("reading sentences from the text packages")
    prompts = prompt_transcripts(paths).values()
    excluded = {fingerprint(text) for text in prompts if text.count(" ") >= 2}
    recorded = read_festvox_text(paths)
    recorded_dev = [normalize(text) for name, text in recorded.items() if is_recorded_dev(name)]
    corpora = _without_quotations(read_corpora(paths), [*prompts, *recorded_dev])
    train: list[tuple[str, str]] = []
    held: list[tuple[str, str]] = []
    for source, sentences in corpora.items():
        for sentence in sentences:
            label = normalize(sentence)
            if fingerprint(label) in excluded:
                continue
            if not is_held_out(label):
                train.append((source, sentence))
            elif source in DEV_SOURCES:
                held.append((source, sentence))
    for name, text in recorded.items():
        if is_recorded_dev(name):
            excluded.add(fingerprint(normalize(text)))
        else:
            train.append(("recorded", text.replace(" - ", ", ")))
    rng = random.Random(_SEED)  # noqa: S311  (no secrets)
    calls: dict[str, str] = {}
    while len(calls) < DEV_SENTENCES // 2:
        sentence = call_sentence(rng)
        label = normalize(sentence)
        if is_held_out(label) and label.count(" ") < 22 and fingerprint(label) not in excluded:
            calls[label] = sentence
    dev = rng.sample(held, DEV_SENTENCES - len(calls)) + [("calls", sentence) for sentence in calls.values()]
    for name, rows in (("train", train), ("dev", dev)):
        lines = [f"{source}\t{sentence}\n" for source, sentence in rows]
        (paths.texts / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
        words = sum(len(sentence.split()) for _, sentence in rows)
        say(f"{name}.tsv: {len(rows)} sentences, {words} words")
    (paths.texts / "excluded.txt").write_text("".join(f"{value}\n" for value in sorted(excluded)))
    forms = read_word_forms(paths, FORMS)
    (paths.texts / "forms.txt").write_text("".join(f"{form}\n" for form in forms), encoding="utf-8")
    say(f"forms.txt: {len(forms)} word forms")
    say(f"{len(held)} corpus sentences are held out; {len(excluded)} test transcripts are excluded")


def is_recorded_dev(name: str) -> bool:
    """Says whether a recording of festvox-ru is kept for evaluation.

    Args:
        name: such as "ru_0001".

    Returns:
        True for every tenth recording.
    """
    return int(name.rpartition("_")[2]) % 10 == 5


def read_rows(path: Path) -> list[tuple[str, str]]:
    """Reads a sentence list.

    Args:
        path: train.tsv or dev.tsv.

    Returns:
        (source, sentence) pairs.
    """
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return [(source, sentence) for source, sentence in rows]


class TextSampler:
    """Draws sentences to synthesise, in the proportions of MIX; held-out ones never.

    Args:
        folder: holds train.tsv, excluded.txt and, of late, forms.txt.
        rng: source of randomness.
    """

    def __init__(self, folder: Path, rng: random.Random) -> None:
        rows = read_rows(folder / "train.tsv")
        self._rng = rng
        self._corpora = [sentence for source, sentence in rows if source != "recorded"]
        self._recorded = [sentence for source, sentence in rows if source == "recorded"]
        self._words = sorted({word for _, sentence in rows for word in normalize(sentence).split() if len(word) > 1})
        self._forms = read_forms(folder / "forms.txt")[:COMMON_FORMS] or self._words
        self._exchange = Exchange(self._forms, rng)
        self._favourite = Favourites(rng)
        self._excluded = {int(line) for line in (folder / "excluded.txt").read_text().split()}

    def _candidate(self) -> str:
        rng = self._rng
        source = rng.choices(list(MIX), list(MIX.values()))[0]
        if source == "corpora":
            sentence = rng.choice(self._corpora)
            return self._exchange(sentence) if rng.random() < EXCHANGED else sentence
        if source == "calls":
            return call_sentence(rng)
        if source == "replies":
            return reply(rng)
        if source == "words":
            count = rng.randint(1, 5)
            if rng.random() < 0.2:
                return " ".join(rng.choice(self._words) for _ in range(count))
            return " ".join(self._favourite(self._forms) for _ in range(count))
        return rng.choice(self._recorded)

    def draw(self) -> tuple[str, str]:
        """Draws one sentence.

        Returns:
            Text for the synthesiser and its normalised transcript.
        """
        while True:
            sentence = self._candidate()
            label = normalize(sentence)
            if label and not is_held_out(label) and fingerprint(label) not in self._excluded:
                return sentence, label
