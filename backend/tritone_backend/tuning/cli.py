"""`tritone model tune`: options, progress, and the tables written into model.toml. The fits are in fit.py."""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tritone_backend.errors import BackendError
from tritone_backend.spec import DESCRIPTION_FILE

SETS = ("festvox_dev", "synthetic_dev", "held_out_voices")
LABELS = "usr/share/festival/voices/russian/msu_ru_nsh_clunits/lab"
EXAMPLE = """example:
  tritone model tune default
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tritone model tune`."""
    parser.description = "Fit decoding to a model on development data: language-model weight, word times, confidence."
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", metavar="NAME|DIR", nargs="?", default="default", help="model (default: default)")
    add = parser.add_argument
    add("--data", type=Path, default=Path("data"), help="training data folder with sets/ (default: data)")
    add("--language-model", type=Path, metavar="FILE", help="tune for this one, and name it in model.toml")
    add("--dry-run", action="store_true", help="change nothing")


def run(args: argparse.Namespace) -> int:
    """Fit, report, and write the tables.

    Raises:
        BackendError: no development data, or a model that cannot be run.
    """
    from tritone_backend.decoding.language import LanguageModel
    from tritone_backend.decoding.settings import DecodingSettings
    from tritone_backend.engines import create_engine
    from tritone_backend.models.registry import find_model
    from tritone_backend.tuning import fit
    from tritone_backend.tuning.material import read_clips

    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {line}", file=sys.stderr, flush=True)

    directory = find_model(args.model)
    engine, _ = create_engine("onnxruntime", directory, threads=0)
    spec = engine.spec
    start = DecodingSettings.load(directory).beam
    name = str(args.language_model.resolve()) if args.language_model else start.language_model
    there = [name for name in SETS if (args.data / "sets" / f"{name}.tsv").is_file()]
    if not there:
        raise BackendError(
            f"no development sets in {args.data / 'sets'}: make them with `make train-data`, or --data DIR"
        )
    sets = {}
    for chosen in there:
        sets[chosen] = read_clips(args.data / "sets" / chosen, engine)
        say(f"{chosen}: {len(sets[chosen])} clips through the network")
    language = LanguageModel(directory / name, spec) if name else None
    settings = fit.fit_search(sets, spec, language, start, say) if language else start
    words, _ = fit.run(sets, spec, language, settings)
    tables: dict[str, dict[str, Any]] = {"decoding": {**asdict(settings), "language_model": name}} if name else {}
    labels = args.data / "packages" / LABELS
    if "festvox_dev" in sets and labels.is_dir():
        timing, before, after = fit.fit_times(sets["festvox_dev"], words["festvox_dev"], labels, spec)
        starts = f"{before.start * 1e3:.0f} -> {after.start * 1e3:.0f} ms"
        ends = f"{before.end * 1e3:.0f} -> {after.end * 1e3:.0f} ms"
        say(f"mean error of word times against {after.words} words' phone labels: start {starts}, end {ends}")
        tables["timing"] = asdict(timing)
    calibration, error_before, error_after, count = fit.fit_confidence(sets, words)
    say(f"confidence of {count} words: expected calibration error {error_before:.3f} -> {error_after:.3f}")
    tables["confidence"] = asdict(calibration)
    print(toml_of(tables), end="")
    if not args.dry_run:
        replace_tables(directory / DESCRIPTION_FILE, tables)
        say(f"written to {directory / DESCRIPTION_FILE}")
    return 0


def toml_of(tables: dict[str, dict[str, Any]]) -> str:
    """The tables as TOML."""
    lines = []
    for title, fields in tables.items():
        lines.append(f"\n[{title}]")
        lines += [
            f"{key} = {value!r}" if not isinstance(value, str) else f'{key} = "{value}"'
            for key, value in fields.items()
        ]
    return "\n".join(lines) + "\n"


def replace_tables(path: Path, tables: dict[str, dict[str, Any]]) -> None:
    """Write tables into a TOML file in place of those of the same names; all else stays as it is."""
    text = path.read_text(encoding="utf-8")
    for title in tables:
        text = re.sub(rf"(?ms)^\[{title}\]\n.*?(?=^\[|\Z)", "", text)
    path.write_text(text.rstrip("\n") + "\n" + toml_of(tables), encoding="utf-8")
