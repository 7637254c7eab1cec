"""`tritone bench SUB-COMMAND`: the table of sub-commands; each is a module with configure and run."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

COMMANDS = {
    "capacity": ("tritone_bench.capacity", "find how many live streams a service carries"),
    "load": ("tritone_bench.load", "hold a load and report it"),
    "soak": ("tritone_bench.soak.command", "let calls come and go for an hour; verdict on what grew or was lost"),
    "overload": ("tritone_bench.overload", "offer more calls than fit: latency of the admitted, refusals, losses"),
    "roof": ("tritone_bench.roof", "measure an engine alone, without a server"),
    "engine": ("tritone_bench.engine_run", "time an engine alone at every batch size, against what the machine can do"),
    "kernels": ("tritone_bench.engine", "examine the torch engine on a GPU: correctness, kernels, profile"),
    "accuracy": ("tritone_bench.accuracy.command", "words right and wrong, delays and cost, decoder by decoder"),
    "compare": ("tritone_bench.compare", "put two runs side by side"),
    "plan": ("tritone_bench.plan", "hosts, memory, network and cost for many streams"),
}
EXAMPLE = """example:
  tritone bench capacity --quick
  tritone bench COMMAND --help
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands; each is imported only when it is used, because some need packages that others do not."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands: Any = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_lazy(parser))
    for name, (module, summary) in COMMANDS.items():
        commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        ).set_defaults(module=module)


def _lazy(parser: argparse.ArgumentParser) -> type[argparse.ArgumentParser]:
    """A parser like the given one that asks its module for options when it first parses."""
    kind: Any = type(parser)

    class Lazy(kind):  # type: ignore[misc]
        loaded = False

        def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
            if not self.loaded:
                self.loaded = True
                importlib.import_module(self.get_default("module")).configure(self)
            return super().parse_known_args(args, namespace)

    return Lazy


def run(args: argparse.Namespace) -> int:
    """Run the chosen sub-command.

    Raises:
        BenchError: see there.
    """
    status: int = importlib.import_module(COMMANDS[args.command][0]).run(args)
    return status
