"""Command line of the training material: `python -m tritone_acoustic.data fetch|texts|lm|neural|bundle|unpack`.

Only argument parsing; the work is in the modules named here, imported when needed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.errors import AcousticError


def main(arguments: list[str] | None = None) -> int:
    """Runs one data command.

    Args:
        arguments: command line without the program name; None reads sys.argv.

    Returns:
        0 on success, 2 for an error the user can mend.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tritone_acoustic.data",
        description="Prepares the training material of the default model.",
        epilog="example: python -m tritone_acoustic.data fetch && python -m tritone_acoustic.data texts",
    )
    parser.add_argument("--data", type=Path, default=None, help="data folder (default: data, or TRITONE_DATA)")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="download and unpack voices, recordings and texts (about 1.2 GB)")
    commands.add_parser("texts", help="make the sentence lists: texts/train.tsv, texts/dev.tsv")
    language = commands.add_parser("lm", help="build the language model from the sentence lists (half a minute)")
    language.add_argument(
        "target", type=Path, nargs="?", default=Path("models/default/language-model.bin"), help="file to write"
    )
    neural = commands.add_parser("neural", help="speak a training set with foreign neural voices, on every core")
    neural.add_argument("--hours", type=float, default=2.0, help="of audio, with what is there (default: 2)")
    bundle = commands.add_parser("bundle", help="pack everything a training machine needs")
    bundle.add_argument("--private-voices", action="store_true", help="add clips of evaluation-only voices")
    unpack = commands.add_parser("unpack", help="unpack a bundle into the data folder")
    unpack.add_argument("bundle", type=Path, help="folder that `bundle` made")
    options = parser.parse_args(arguments)
    paths = DataPaths(options.data) if options.data else DataPaths.default()
    try:
        if options.command == "fetch":
            from tritone_acoustic.data.fetch import fetch

            fetch(paths)
        elif options.command == "texts":
            from tritone_acoustic.data.texts import write_texts

            write_texts(paths)
        elif options.command == "lm":
            from tritone_acoustic.language.build import build

            build(paths, options.target)
        elif options.command == "neural":
            from tritone_acoustic.data.neural import write_neural_set

            write_neural_set(paths, options.hours)
        elif options.command == "unpack":
            from tritone_acoustic.data.bundle import unpack as unpack_bundle

            unpack_bundle(options.bundle, paths.root)
        else:
            from tritone_acoustic.data.bundle import write_bundle

            write_bundle(paths, private_voices=options.private_voices)
    except (AcousticError, TrainingDataError) as error:
        if options.debug:
            raise
        sys.stderr.write(f"tritone: {error.user_message}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
