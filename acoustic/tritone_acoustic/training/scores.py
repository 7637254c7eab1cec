"""Word and character error rates.

Only counting; transcripts come from `evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tritone_acoustic.data.normalize import fold_yo


def edit_distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Counts the fewest insertions, deletions and substitutions (Levenshtein).

    Args:
        reference: words or characters.
        hypothesis: words or characters.

    Returns:
        The distance.
    """
    row = list(range(len(hypothesis) + 1))
    for number, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], number
        for place, given in enumerate(hypothesis, 1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (expected != given))
    return row[-1]


@dataclass(frozen=True)
class Score:
    """Errors of a set.

    Attributes:
        clips: how many utterances.
        words: reference words.
        wer: word error rate in per cent.
        cer: character error rate in per cent.
        wer_yo: word error rate with ё and е told apart.
        cer_yo: character error rate with ё and е told apart.
    """

    clips: int
    words: int
    wer: float
    cer: float
    wer_yo: float
    cer_yo: float


def score(references: list[str], hypotheses: list[str]) -> Score:
    """Scores transcripts.

    Args:
        references: normalised texts.
        hypotheses: recognised texts, in the same order.

    Returns:
        Error rates over the whole set.
    """
    counts = {"wer": 0, "cer": 0, "wer_yo": 0, "cer_yo": 0}
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        folded, heard = fold_yo(reference), fold_yo(hypothesis)
        counts["wer"] += edit_distance(folded.split(), heard.split())
        counts["cer"] += edit_distance(folded, heard)
        counts["wer_yo"] += edit_distance(reference.split(), hypothesis.split())
        counts["cer_yo"] += edit_distance(reference, hypothesis)
    words = sum(len(reference.split()) for reference in references)
    letters = sum(map(len, references))
    return Score(
        len(references),
        words,
        *(
            round(100.0 * counts[name] / max(1, words if name.startswith("wer") else letters), 2)
            for name in ("wer", "cer", "wer_yo", "cer_yo")
        ),
    )
