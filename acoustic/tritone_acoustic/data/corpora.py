"""Reads sentences out of the text packages: aphorisms, help pages, games, a dictionary's examples.

Only extraction and filtering of written text; spoken domain sentences are generated in `templates`.
"""

from __future__ import annotations

import gettext
import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tritone_acoustic.data.normalize import fold_yo, normalize, spell_digits
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.data.wiktionary import read_wiktionary

# One-letter Russian words; any other single letter is an abbreviation or a list mark.
_ONE_LETTER_WORDS = frozenset("аивкосуя")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"»)]*\s+|\s+[-–—]\s+(?=[А-ЯЁ])|\n\s*[-–—]\s*|\n\s*\n")
# Campaigns of Wesnoth that are packages of their own (Heir to the Throne came with the base game).
_CAMPAIGNS = frozenset(
    ["did", "dm", "dw", "ei", "l", "low", "nr", "sof", "sota", "sotbe", "tb", "thot", "trow", "tsg", "utbs"]
)
# Coarse words (beginnings) that a telephone assistant's training text can do without.
_COARSE = re.compile(
    r"\b(хуй|хуе|хуё|пизд|еба|ёб|бля|мудак|говн|жоп|сра[тлк]|дерьм|секс|трах|член|импотен|прости[т]ут)"
)


def _fortunes(paths: DataPaths) -> Iterator[str]:
    folder = paths.packages / "usr/share/games/fortunes/ru"
    for path in sorted(folder.iterdir()):
        if path.suffix in (".dat", ".u8") or path.is_symlink():
            continue
        for saying in re.split(r"^%$", path.read_text(encoding="utf-8", errors="replace"), flags=re.MULTILINE):
            lines = [line for line in saying.splitlines() if not re.match(r"\s*--|\t\t", line)]
            yield "\n".join(lines)


def _help_pages(paths: DataPaths) -> Iterator[str]:
    for path in sorted((paths.packages / "usr/share/libreoffice/help/ru/text").rglob("*.html")):
        body = path.read_text(encoding="utf-8", errors="replace")
        body = re.sub(r"<(script|style|head|pre|code|nav)\b.*?</\1>", " ", body, flags=re.DOTALL)
        body = re.sub(r"</?(p|h[1-6]|li|td|tr|div|br)\b[^>]*>", "\n\n", body)
        yield html.unescape(re.sub(r"<[^>]+>", "", body))


def _messages(path: Path) -> Iterator[str]:
    """Yields the translations of a gettext catalogue."""
    with path.open("rb") as stream:
        catalog = gettext.GNUTranslations(stream)
    for message in catalog._catalog.values():  # type: ignore[attr-defined]
        yield str(message)


def _wesnoth(paths: DataPaths) -> dict[str, Path]:
    folders = paths.packages.glob("usr/share/games/wesnoth/*/locale/ru/LC_MESSAGES/*.mo")
    return {path.stem: path for path in sorted(folders)}


def _dialogue(paths: DataPaths, campaigns: bool) -> Iterator[str]:
    """The base game with its first campaign, or the other campaigns: those came later to the corpus."""
    for name, path in _wesnoth(paths).items():
        if (name.removeprefix("wesnoth-") in _CAMPAIGNS) == campaigns:
            for message in _messages(path):
                yield re.sub(r"<[^>]+>|\$[a-z_|.]+", " @ ", message)  # '@' makes the filter drop the sentence


def _survival(paths: DataPaths) -> Iterator[str]:
    path = paths.packages / "usr/share/locale/ru/LC_MESSAGES/cataclysm-dda.mo"
    for message in _messages(path):
        text = re.sub(r"</?color[^>]*>|<(name|freq)[a-z_]*>", "", message)
        yield re.sub(r"%[0-9$.]*[a-z]|<[^>]+>", " @ ", text)


def _dungeon(paths: DataPaths) -> Iterator[str]:
    for path in sorted((paths.packages / "usr/share/crawl/dat/descript/ru").glob("*.txt")):
        for entry in path.read_text(encoding="utf-8").split("%%%%"):
            yield re.sub(r"\{\{.*?\}\}", " @ ", entry, flags=re.DOTALL)


def sentences(text: str) -> Iterator[str]:
    """Splits text into sentences that a synthesiser reads as written.

    Args:
        text: a paragraph or more.

    Yields:
        Sentences of 2 to 22 words, digits spelt out, without foreign letters, abbreviations or signs.
    """
    for piece in _SENTENCE_END.split(text):
        sentence = " ".join(piece.split()).strip('-–—•*"«» ')
        if re.search(r"[A-Za-z@#$_/\\<>{}|~^=*&\[\]№%]|[А-ЯЁ]{2}|\w\.\w|[0-9]{5}|[0-9]-|[0-9][:.,][0-9]", sentence):
            continue
        sentence = " ".join(spell_digits(sentence).split())
        label = normalize(sentence)
        words = label.split()
        if not 2 <= len(words) <= 22 or max(map(len, words)) > 24 or _COARSE.search(label):
            continue
        if any(len(word) == 1 and word not in _ONE_LETTER_WORDS for word in words):
            continue
        if not any(vowel in word for word in words for vowel in "аеёиоуыэюя"):
            continue
        yield sentence


class YoRestorer:
    """Writes ё where the corpus says that a word form is always spelt with it.

    A source that writes «ещё» more often than «еще» is taken as one that cares for the letter. A word form is
    restored if such sources write it with ё at least nine times in ten.

    Args:
        sources: the texts, one string per source file.
    """

    def __init__(self, sources: Iterable[str]) -> None:
        careful: Counter[str] = Counter()
        for source in sources:
            counts = Counter(normalize(source).split())
            if counts["ещё"] + counts["всё"] + counts["её"] > counts["еще"] + counts["ее"]:
                careful += counts
        self._restored = {
            fold_yo(word): word
            for word, count in careful.items()
            if "ё" in word and count >= 9 * careful[fold_yo(word)]
        }

    def __call__(self, sentence: str) -> str:
        """Restores ё in one sentence.

        Args:
            sentence: text with punctuation.

        Returns:
            The same text; only letters е may have become ё (or Е, Ё).
        """
        return re.sub(r"[А-Яа-яЁё]+", self._restore, sentence)

    def _restore(self, match: re.Match[str]) -> str:
        word = match.group()
        restored = self._restored.get(word.lower())
        if restored is None:
            return word
        return "".join(
            ("Ё" if old.isupper() else "ё") if new == "ё" else old for old, new in zip(word, restored, strict=True)
        )


def read_corpora(paths: DataPaths) -> dict[str, list[str]]:
    """Extracts the distinct sentences of every text package.

    Args:
        paths: the data folder, after `fetch`.

    Returns:
        Corpus name -> sentences with punctuation, in a stable order.
    """
    texts = {
        "aphorisms": list(_fortunes(paths)),
        "help": list(_help_pages(paths)),
        "dialogue": list(_dialogue(paths, campaigns=False)),
    }
    files = ["\n".join(pieces) for pieces in texts.values()]
    restore = YoRestorer([*files, *texts["aphorisms"]])
    examples, definitions = read_wiktionary(paths.wiktionary)
    # Younger sources come after the others and have no say about ё, so that the development set stays what it was.
    texts |= {
        "campaigns": list(_dialogue(paths, campaigns=True)),
        "survival": list(_survival(paths)),
        "dungeon": list(_dungeon(paths)),
        "examples": examples,
        "definitions": definitions,
    }
    result: dict[str, list[str]] = {}
    seen: set[str] = set()
    for name, pieces in texts.items():
        result[name] = []
        for text in pieces:
            for sentence in sentences(text):
                label = fold_yo(normalize(sentence))
                if label not in seen:
                    seen.add(label)
                    result[name].append(restore(sentence))
    return result


def read_festvox_text(paths: DataPaths) -> dict[str, str]:
    """Reads what the recorded voice says.

    Args:
        paths: the data folder, after `fetch`.

    Returns:
        Recording name -> sentence with punctuation and stress marks.
    """
    source = (paths.festvox / "etc/txt.done.data").read_text(encoding="utf-8")
    return dict(re.findall(r'^\(\s*(\S+)\s+"(.*)"\s*\)', source, re.MULTILINE))


def read_prompts(paths: DataPaths) -> dict[str, Path]:
    """Lists the recorded telephone prompts.

    Args:
        paths: the data folder, after `fetch`.

    Returns:
        Prompt name -> wav file.
    """
    root = next(folder for folder in paths.asterisk_sounds.iterdir() if folder.name.startswith("ru"))
    return {str(path.relative_to(root).with_suffix("")): path for path in sorted(root.rglob("*.wav"))}
