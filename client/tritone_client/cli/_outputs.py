"""Where results go: standard output or one file, in the order of the inputs, or a folder with a file for each.

How an event looks is `_formats`' matter.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TextIO

from tritone_client._errors import InvalidOption
from tritone_client._events import Event
from tritone_client.cli._formats import FORMATS, Formatter
from tritone_client.cli._terminal import Terminal


class Outputs(Protocol):
    """Takes the events of several inputs, each known by its index."""

    def event(self, index: int, event: Event) -> None:
        """One event of an input."""

    def done(self, index: int, *, failed: bool) -> None:
        """No more events of this input follow; one that failed without any leaves no trace."""

    def close(self) -> None:
        """Nothing follows at all."""


class OrderedOutput:
    """One text stream for all: the first unfinished input is written as it comes, those after it wait their turn."""

    def __init__(self, names: Sequence[str], formatter: Formatter, out: TextIO, terminal: Terminal) -> None:
        self._names = names
        self._formatter = formatter
        self._out = out
        self._terminal = terminal
        self._turn = 0
        self._begun = False
        self._done: dict[int, bool] = {}  # input -> whether it failed
        self._waiting: dict[int, list[Event]] = {}

    def event(self, index: int, event: Event) -> None:
        """Write the event now or in its turn."""
        if index == self._turn:
            self._write(event)
        else:
            self._waiting.setdefault(index, []).append(event)

    def done(self, index: int, *, failed: bool) -> None:
        """Let the next input have its turn once those before it are done."""
        self._done[index] = failed
        while self._turn in self._done:
            if not self._done[self._turn]:
                self._begin()
            self._turn += 1
            self._begun = False
            for event in self._waiting.pop(self._turn, []):
                self._write(event)

    def close(self) -> None:
        """Write what still waits, of inputs that others kept from their turn."""
        for index in sorted(self._waiting):
            self._turn, self._begun = index, False
            for event in self._waiting.pop(index):
                self._write(event)
        if self._out is not sys.stdout:
            self._out.close()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._emit(self._formatter.begin(self._names[self._turn]))

    def _write(self, event: Event) -> None:
        self._begin()
        self._emit(self._formatter.event(self._names[self._turn], event))

    def _emit(self, text: str) -> None:
        if text:
            self._terminal.write(self._out, text)


class FolderOutput:
    """A file for each input; a file appears when its input's first event, or its end, does."""

    def __init__(self, names: Sequence[str], paths: Sequence[Path], format_name: str, *, words: bool) -> None:
        self._names = names
        self._paths = paths
        self._format = format_name
        self._words = words
        self._open: dict[int, tuple[TextIO, Formatter]] = {}

    def event(self, index: int, event: Event) -> None:
        """Write the event to its input's file."""
        out, formatter = self._file(index)
        out.write(formatter.event(self._names[index], event))

    def done(self, index: int, *, failed: bool) -> None:
        """Complete the input's file."""
        if index in self._open or not failed:
            self._file(index)[0].close()
            del self._open[index]

    def close(self) -> None:
        """Complete the files of inputs that were interrupted."""
        for out, _ in self._open.values():
            out.close()
        self._open.clear()

    def _file(self, index: int) -> tuple[TextIO, Formatter]:
        if index not in self._open:
            formatter = Formatter(self._format, words=self._words)
            out = self._paths[index].open("w", encoding="utf-8")
            out.write(formatter.begin(self._names[index]))
            self._open[index] = out, formatter
        return self._open[index]


def open_outputs(
    names: Sequence[str], format_name: str, output: str | None, terminal: Terminal, *, words: bool
) -> Outputs:
    """The outputs that a command line asks for.

    Args:
        names: of the inputs, in order.
        format_name: one of `FORMATS`.
        output: a file, a folder (one that exists, or a name that ends in ``/``), or None for standard output.
        terminal: shares the screen with standard output.
        words: list words in plain text.

    Raises:
        InvalidOption: the output cannot be written, or several subtitle files were to become one.
    """
    try:
        if output is not None and (output.endswith("/") or Path(output).is_dir()):
            folder = Path(output)
            folder.mkdir(parents=True, exist_ok=True)
            paths = [folder / name for name in _file_names(names, FORMATS[format_name])]
            return FolderOutput(names, paths, format_name, words=words)
        if len(names) > 1 and format_name in ("srt", "vtt"):
            raise InvalidOption(f"several files cannot share one {format_name} output; name a folder: --output DIR/")
        out = sys.stdout if output is None else Path(output).open("w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise InvalidOption(f"cannot write {output}: {(error.strerror or str(error)).lower()}") from error
    return OrderedOutput(names, Formatter(format_name, titled=len(names) > 1, words=words), out, terminal)


def _file_names(names: Sequence[str], suffix: str) -> list[str]:
    stems = ["stdin" if name == "-" else Path(name).stem for name in names]
    if max(Counter(stems).values()) > 1:
        stems = ["stdin" if name == "-" else Path(name).name for name in names]
    twice = [stem for stem, count in Counter(stems).items() if count > 1]
    if twice:
        raise InvalidOption(f"two inputs are called {twice[0]}; their outputs cannot both go into one folder")
    return [stem + suffix for stem in stems]
