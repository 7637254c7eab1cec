"""Which decoders a run compares, and how a service with each of them is started."""

from __future__ import annotations

import argparse
import contextlib
import functools
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tritone_bench.errors import UsageError
from tritone_bench.service import Service, parse_address

ABOUT = {
    "greedy": "most likely character of every frame",
    "beam": "beam search without a language model's weight",
    "beam+lm": "beam search with the model's language model",
    "service": "a running service as it is",
}
LEAST_SLOTS = 64


@dataclass(frozen=True)
class Decoder:
    """One of them.

    Attributes:
        name: key of `ABOUT`.
        tentative: the others follow if the model turns out to have them.
    """

    name: str
    tentative: bool = False

    @property
    def about(self) -> str:
        """What it is, one line."""
        return ABOUT[self.name]

    def more(self, service: Service) -> list[Decoder]:
        """Decoders to go on with, as the service shows what its model has."""
        if self.tentative and _served() and has_language_model(service):
            return [Decoder("beam"), Decoder("beam+lm")]
        return []


def parse(names: str, server: str | None) -> list[Decoder]:
    """Read ``--decoders``.

    Raises:
        UsageError: a name is unknown, or the installed service cannot be told which decoder to use.
    """
    if server is not None:
        if names != "auto":
            raise UsageError("--decoders are for services started here; leave out --server, or leave them out")
        return [Decoder("service")]
    if names == "auto":
        return [Decoder("greedy", tentative=True)]
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in ABOUT or name == "service":
            raise UsageError(f"no decoder {name!r}; there are greedy, beam, beam+lm")
        if name != "greedy" and not _served():
            raise UsageError(f"this installation's 'tritone serve' has no --decoder, so only greedy; {name!r} is none")
    if not wanted:
        raise UsageError("--decoders names none; there are greedy, beam, beam+lm")
    return [Decoder(name) for name in dict.fromkeys(wanted)]


@functools.cache
def _served() -> bool:
    """Whether `tritone serve` takes a decoder."""
    command = [str(Path(sys.executable).with_name("tritone")), "serve", "--help"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return False
    return "--decoder" in done.stdout


@contextlib.contextmanager
def serving(
    decoder: Decoder, args: argparse.Namespace, say: Callable[[str], None]
) -> Iterator[tuple[str, int, int, list[str]]]:
    """Host, gRPC port, metrics port and options of the service that has a decoder."""
    if decoder.name == "service":
        host, port = parse_address(args.server)
        yield host, port, 8002, []
        return
    options = ["--model", str(args.model), "--max-streams", str(max(LEAST_SLOTS, args.streams, args.paced_streams))]
    # Clips come as fast as they are answered, so there is never spare time: admission must go by slots.
    options += ["--admission", "slots"]
    for name in ("engine", "threads"):
        if getattr(args, name) is not None:
            options += [f"--{name}", str(getattr(args, name))]
    if _served():
        options += ["--decoder", decoder.name]
    say(f"decoder {decoder.name}")
    port, metrics_port = _free_ports()
    yield "127.0.0.1", port, metrics_port, options


def has_language_model(service: Service) -> bool:
    """Whether the model of a service of this machine names a language model."""
    description = Path(service.parameters.get("model", "-")) / "model.toml"
    try:
        return "language_model" in description.read_text(encoding="utf-8")
    except OSError:
        return False


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("127.0.0.1", 0))
        return int(first.getsockname()[1]), int(second.getsockname()[1])
