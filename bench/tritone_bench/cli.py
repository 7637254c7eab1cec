"""`tritone bench SUB-COMMAND`: the table of sub-commands; each is a module with configure and run."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

COMMANDS = {
    "capacity": ("tritone_bench.capacity", "find how many live streams a service carries"),
    "load": ("tritone_bench.load", "hold a load and report it"),
    "engine": ("tritone_bench.engine", "measure the engine alone, without a server"),
    "compare": ("tritone_bench.compare", "put two runs side by side"),
    "plan": ("tritone_bench.plan", "hosts, memory, network and cost for many streams"),
}
EXAMPLE = """example:
  tritone bench capacity --quick
  tritone bench COMMAND --help
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands: Any = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        importlib.import_module(module).configure(command)


def run(args: argparse.Namespace) -> int:
    """Run the chosen sub-command.

    Raises:
        BenchError: see there.
    """
    status: int = importlib.import_module(COMMANDS[args.command][0]).run(args)
    return status
