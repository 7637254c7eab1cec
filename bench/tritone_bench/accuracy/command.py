"""`tritone bench accuracy`: words, delays and cost of the running service, set by set, decoder by decoder."""

from __future__ import annotations

import argparse
from pathlib import Path

from tritone_bench.accuracy import sets
from tritone_bench.errors import UsageError

EXAMPLE = """example:
  tritone bench accuracy --limit 60
  tritone bench accuracy --sets prompts,prompts5 --peer whisper
  tritone bench accuracy --folder calls/ --decoders greedy

A folder holds NAME.wav, .flac or .ogg with NAME.txt beside each, or a manifest.tsv (FILE, tab, WORDS).
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("--sets", metavar="NAMES", help=f"of {','.join(sets.KNOWN)} (default all; none with --folder)")
    add("--data", type=Path, metavar="DIR", help="where these sets are (default data/sets)")
    add("--folder", type=Path, action="append", default=[], metavar="DIR", help="recordings of your own; may repeat")
    add("--decoders", default="auto", metavar="NAMES", help="of greedy,beam,beam+lm (default: all the model has)")
    add("--peer", choices=["whisper"], help="score whisper-base on the same clips, offline")
    add("--limit", type=int, default=0, metavar="N", help="most clips of a set, drawn by --seed (default all)")
    add("--peer-limit", type=int, default=0, metavar="N", help="most clips of a set for the peer (default all)")
    add("--seed", type=int, default=1, metavar="N", help="of the draws (default 1)")
    add("--streams", type=int, default=8, metavar="N", help="clips at once for the words (default 8)")
    add(
        "--paced",
        type=int,
        default=40,
        metavar="N",
        help="clips for the delays, at a call's pace (default 40)",
    )
    add("--paced-streams", type=int, default=4, metavar="N", help="of them at once (default 4)")
    add("--server", metavar="HOST:PORT", help="a running service as it is (default: start one per decoder)")
    add("--model", default="default", metavar="NAME|DIR", help="model of services started here")
    add("--engine", help="engine of services started here")
    add("--threads", type=int, metavar="N", help="CPU threads of services started here")
    add("--cache", type=Path, metavar="DIR", help="where the peer's model and results are kept")
    add("--out", type=Path, metavar="DIR", help="where results go (default bench/results)")


def run(args: argparse.Namespace) -> int:
    """Measure, print, write the report.

    Raises:
        BenchError: a set, a package or the service is missing, or something failed on the way.
    """
    for name in ("limit", "peer_limit", "paced"):
        if getattr(args, name) < 0:
            raise UsageError(f"--{name.replace('_', '-')} must be 0 or more")
    if not 1 <= args.streams <= 1024 or not 1 <= args.paced_streams <= 1024:
        raise UsageError("--streams and --paced-streams must be 1 to 1024")
    from tritone_bench.accuracy import measure  # needs rapidfuzz, which --help does not

    return measure.run(args)


def chosen_sets(args: argparse.Namespace) -> list[sets.ClipSet]:
    """The sets that were asked for, cut to ``--limit``.

    Raises:
        UsageError: one is missing.
    """
    names = args.sets.split(",") if args.sets else [] if args.folder else list(sets.KNOWN)
    found = [sets.known_set(name.strip(), args.data or sets.default_folder()) for name in names if name.strip()]
    found += [sets.user_set(folder) for folder in args.folder]
    repeated = {one.name for one in found if sum(other.name == one.name for other in found) > 1}
    if repeated:
        raise UsageError(f"two sets are called {repeated.pop()!r}: rename a folder, or name each set once")
    if not found:
        raise UsageError(f"no set: choose of {', '.join(sets.KNOWN)} with --sets, or give a --folder")
    return [sets.sample(one, args.limit, args.seed) for one in found]
