"""`tritone COMMAND ...`: the table of commands, and what all of them share.

Each command lives in a module of its own with ``configure(parser)`` and ``run(args) -> int``, imported only when it
is used: the client must work where the packages of the service are not installed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final

COMMANDS: Final = {
    "serve": ("tritone_backend.serve.cli", "run the service on this machine"),
    "transcribe": ("tritone_client.cli.transcribe", "recognise audio files"),
    "keys": ("tritone_backend.access.cli", "make, list and revoke API keys of the service"),
    "listen": ("tritone_client.cli.listen", "recognise the microphone, or raw audio from a pipe"),
    "bench": ("tritone_bench.cli", "measure: how many live streams, how fast, how accurate"),
    "drain": ("tritone_backend.serve.drain_cli", "empty a running server: calls finish or move to another one"),
    "model": ("tritone_backend.models.cli", "list, pull, add and describe models; export a checkpoint"),
    "doctor": ("tritone_backend.serve.doctor_cli", "say what this machine can run and what is missing"),
}
"""Command -> the module that has it, and what it does."""

EXTRAS: Final = {
    "soxr": "backend",
    "tomli": "backend",
    "onnxruntime": "onnxruntime",
    "pytriton": "server",
    "psutil": "server",
    "cryptography": "tls",
    "torch": "torch",
    "safetensors": "torch",
    "onnx": "export",
    "sounddevice": "microphone",
    "huggingface_hub": "hub",
    "hpack": "bench",
    "rapidfuzz": "bench",
    "faster_whisper": "accuracy-peer",
}
"""Third-party package -> the extra of this distribution that brings it."""

_FAILED, _USAGE, _INTERRUPTED, _BROKEN_PIPE = 1, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the words after ``tritone``; None for those of the process.

    Returns:
        The exit status: 0, or 1 for a failure at run time, 2 for a wrong use, 130 when interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        status = _dispatch([word for word in words if word != "--debug"])
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does. Python would complain once more when it flushes at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as error:
        if debug:
            traceback.print_exc()
        message, status = explain(error)
        print(f"tritone: {message}", file=sys.stderr)
        return status


def explain(error: Exception) -> tuple[str, int]:
    """One line about an exception, and the exit status it leads to."""
    message = getattr(error, "user_message", None)
    if message is not None:
        return str(message), int(getattr(error, "exit_status", _USAGE))
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _missing(error.name), _USAGE
    return f"unexpected {type(error).__name__}: {error}; --debug shows where", _FAILED


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["--version"] or words[:1] == ["-V"]:
        from importlib.metadata import version

        print(f"tritone {version('tritone')}")
        return 0
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview(), file=sys.stdout if words else sys.stderr)
        return 0 if words else _USAGE
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        print(f"tritone: no command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return _USAGE
    module, summary = COMMANDS[name]
    command = importlib.import_module(module)
    parser = _Parser(prog=f"tritone {name}", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.description = f"{summary[0].upper()}{summary[1:]}."
    command.configure(parser)
    try:
        args = parser.parse_args(rest)
    except SystemExit as leaving:  # argparse has said why
        return int(leaving.code or 0)
    status: int = command.run(args)
    return status


class _Parser(argparse.ArgumentParser):
    """Wrong options are one line, like every other refusal."""

    def error(self, message: str) -> Any:
        self.exit(_USAGE, f"tritone: {message}; see '{self.prog} --help'\n")


def _overview() -> str:
    commands = "\n".join(f"  {name:11} {summary}" for name, (_, summary) in COMMANDS.items())
    return f"""usage: tritone COMMAND ...

Live speech recognition for telephony.

commands:
{commands}

options, with any command:
  --help      what the command takes, with an example
  --debug     show the traceback of an error
  --version   show the version and leave

example:
  tritone serve &
  tritone transcribe call.wav"""


def _missing(package: str) -> str:
    top = package.partition(".")[0]
    if top.startswith("tritone_"):
        return f"this installation of tritone lacks its module {package}; install it anew"
    extra = EXTRAS.get(top)
    if extra is None:
        return f"the Python package {top!r} is not installed; install it, or this command's extra of tritone"
    return f"this command needs the Python package {top!r}: pip install 'tritone[{extra}]'"


if __name__ == "__main__":
    sys.exit(main())
