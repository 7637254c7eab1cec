"""`python -m tests.fuzz.one TARGET [libFuzzer flags] CORPUS`: one target under atheris, in a process of its own."""

from __future__ import annotations

import gc
import sys

import atheris

from tests.fuzz.targets import TARGETS


def main() -> None:
    """Instrument what the target names, then fuzz until libFuzzer has enough."""
    target = TARGETS[sys.argv[1]]
    with atheris.instrument_imports(include=list(target.instrument), enable_loader_override=False):
        function = target.load()
        for data in (b"", bytes(range(64))):
            function(data)  # what is imported later is instrumented too
    count = 0

    def one_input(data: bytes) -> None:
        nonlocal count
        function(data)
        count += 1
        if count % 5000 == 0:
            gc.collect()  # what is left after it is a leak, which libFuzzer's memory limit finds

    atheris.Setup([sys.argv[0], *sys.argv[2:]], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
