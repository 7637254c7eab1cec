"""The record of an accuracy run: what is kept, drawn and compared. Scores clips; measures nothing."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tritone_bench.accuracy.calibration import Calibration, calibrate, judged
from tritone_bench.accuracy.cost import Cost
from tritone_bench.accuracy.delays import Delays
from tritone_bench.accuracy.scoring import Counts, Rate, align, count, difference, frequent, rate
from tritone_bench.accuracy.sets import Clip, ClipSet
from tritone_bench.accuracy.spelling import fold_yo
from tritone_bench.accuracy.streaming import Heard

FORMAT = 1
EXAMPLES = 6
LONG = 20  # words of a clip that is a tale rather than an example


@dataclass
class System:
    """A recogniser with what it heard.

    Attributes:
        name: ``greedy``, ``whisper-base``.
        about: what it is, one line.
        heard: by `Clip.key`.
        cost: of all of it.
        delays: of the paced clips; None when there were none.
        memory_mib: of its processes; None when out of sight.
        late_finals: phrases of the paced clips that stayed greedy because the search was late; None when unknown.
    """

    name: str
    about: str
    heard: dict[str, Heard]
    cost: Cost
    delays: Delays | None = None
    memory_mib: float | None = None
    late_finals: float | None = None


@dataclass
class Example:
    """An error to listen to: where, what was said, what was recognised; the wrong words in brackets."""

    file: str
    seconds: float
    clip: str
    said: str
    recognised: str


@dataclass
class Score:
    """A system on a set. Rates are in per cent with ё = е; those ending in ``_yo`` tell ё from е.

    Attributes:
        versus: words wrong more (+) or less (-) than the first system on the clips that both heard, in points.
    """

    set: str
    system: str
    clips: int
    words: int
    seconds: float
    wer: Rate
    wer_yo: Rate
    cer: Rate
    cer_yo: Rate
    substitutions: int
    insertions: int
    deletions: int
    clips_without_error: int
    versus: Rate | None
    calibration: Calibration | None
    frequent: list[tuple[str, str, int]] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)


@dataclass
class Record:
    """A whole run.

    Attributes:
        when, host, command, revision, machine, versions, settings: its conditions.
        sets: title of each set by name.
        systems: name, what it is, cost and delays of each.
        scores: of each system on each set.
        error: why it is partial, empty when it is whole.
    """

    when: str
    host: str
    command: str
    revision: str
    machine: dict[str, str]
    versions: dict[str, str]
    settings: dict[str, str]
    sets: dict[str, str]
    systems: list[dict[str, Any]] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    error: str = ""


def score(chosen: ClipSet, system: System, first: System) -> Score | None:
    """Score a system on the clips of a set that it heard; None when it heard none.

    Args:
        chosen: the set.
        system: to be scored.
        first: what it is compared with.
    """
    clips = [clip for clip in chosen.clips if clip.key in system.heard and clip.text]
    if not clips:
        return None
    folded = [_counts(clip, system, yo=False) for clip in clips]
    strict = [_counts(clip, system, yo=True) for clip in clips]
    words, letters = [one.words for one in folded], [one.letters for one in folded]
    texts = [(fold_yo(clip.text), fold_yo(system.heard[clip.key].text)) for clip in clips]
    return Score(
        set=chosen.name,
        system=system.name,
        clips=len(clips),
        words=sum(words),
        seconds=round(sum(clip.seconds for clip in clips), 1),
        wer=rate([one.errors for one in folded], words),
        wer_yo=rate([one.errors for one in strict], words),
        cer=rate([one.letter_errors for one in folded], letters),
        cer_yo=rate([one.letter_errors for one in strict], letters),
        substitutions=sum(one.substitutions for one in folded),
        insertions=sum(one.insertions for one in folded),
        deletions=sum(one.deletions for one in folded),
        clips_without_error=sum(one.errors == 0 for one in folded),
        versus=_versus(clips, first, system),
        calibration=calibrate(
            pair for clip in clips for pair in judged(fold_yo(clip.text), _folded(system.heard[clip.key]))
        ),
        frequent=frequent(texts),
        examples=_examples(clips, folded, system),
    )


def _counts(clip: Clip, system: System, *, yo: bool) -> Counts:
    said, heard = clip.text, system.heard[clip.key].text
    return count(said, heard) if yo else count(fold_yo(said), fold_yo(heard))


def _folded(heard: Heard) -> Heard:
    words = [type(word)(fold_yo(word.word), word.start, word.end, word.confidence) for word in heard.words]
    return Heard(fold_yo(heard.text), words)


def _versus(clips: Sequence[Clip], first: System, system: System) -> Rate | None:
    both = [clip for clip in clips if clip.key in first.heard]
    if system is first or not both:
        return None
    before = [_counts(clip, first, yo=False) for clip in both]
    after = [_counts(clip, system, yo=False) for clip in both]
    return difference([c.errors for c in before], [c.errors for c in after], [c.words for c in before])


def _examples(clips: Sequence[Clip], counts: Sequence[Counts], system: System) -> list[Example]:
    """The clips with most errors, those short enough to be listened to and compared first."""
    order = sorted(zip(clips, counts, strict=True), key=lambda pair: (pair[1].words > LONG, -pair[1].errors))
    return [_example(clip, system.heard[clip.key]) for clip, errors in order[:EXAMPLES] if errors.errors]


def _example(clip: Clip, heard: Heard) -> Example:
    said, found = clip.text.split(), heard.text.split()
    left, right = list(said), list(found)
    at: float | None = None
    for pair in align([fold_yo(word) for word in said], [fold_yo(word) for word in found]):
        if pair.kind == "equal":
            continue
        if pair.reference >= 0:
            left[pair.reference] = f"[{said[pair.reference]}]"
        if pair.hypothesis >= 0:
            right[pair.hypothesis] = f"[{found[pair.hypothesis]}]"
            if at is None and len(heard.words) == len(found):
                at = heard.words[pair.hypothesis].start
    return Example(clip.shown, round(clip.offset_s + (at or 0.0), 1), clip.key, " ".join(left), " ".join(right))


def common(chosen: ClipSet, systems: Sequence[System]) -> ClipSet:
    """The clips of a set that every system heard."""
    clips = [clip for clip in chosen.clips if all(clip.key in system.heard for system in systems)]
    return ClipSet(chosen.name, chosen.title, clips)


def described(system: System) -> dict[str, Any]:
    """A system's cost and delays for the record."""
    return {
        "name": system.name,
        "about": system.about,
        **asdict(system.cost),
        "cpu_s_per_hour": system.cost.cpu_per_hour,
        "realtime_factor": system.cost.realtime_factor,
        "memory_mib": system.memory_mib,
        "late_finals": system.late_finals,
        "delays": system.delays.summary() if system.delays else {},
        "delay_curves": system.delays.curves() if system.delays else {},
    }


def save(folder: Path, record: Record, sets: Sequence[ClipSet], systems: Sequence[System]) -> None:
    """Write ``results.json``, and ``clips.jsonl.gz`` with what each system heard in each clip."""
    body = {"format": FORMAT, **asdict(record)}
    text = json.dumps(_rounded(body), ensure_ascii=False, indent=1)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    rows = []
    for clip in {clip.key: clip for chosen in sets for clip in chosen.clips}.values():
        heard = {system.name: system.heard[clip.key].text for system in systems if clip.key in system.heard}
        rows.append({"clip": clip.key, "file": clip.shown, "seconds": clip.seconds, "said": clip.text, **heard})
    with gzip.GzipFile(folder / "clips.jsonl.gz", "wb", mtime=0) as file:
        file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, (list, tuple)) else value
