"""Packs an ARPA file into KenLM's own binary format: a trie with quantised weights, mapped into memory when loaded.

The library that Flashlight's wheel brings holds KenLM's writer, which no Python module offers: this asks the library.
"""

from __future__ import annotations

import ctypes
import struct
import subprocess
import sys
from pathlib import Path

from tritone_acoustic.errors import AcousticError

_FOREIGN = "this KenLM is not the one of ufal-flashlight-text 0.0.7.1: pip install 'tritone[language]'"
QUANTISED_ARRAY_TRIE = 5
"""KenLM's number of the smallest layout: bits as few as asked for, pointers compressed."""

# Where the fields lie in KenLM's C++ `Config` (64 bit, GNU C++ library), with the values a fresh one has: checked
# before any is changed, so that another layout is noticed.
_PROBING, _WRITE_MMAP, _WRITE_METHOD, _BITS = 40, 96, 104, 144
_FRESH = (
    (_PROBING, "<f", (1.5,)),
    (_WRITE_MMAP, "<Q", (0,)),
    (_WRITE_METHOD, "<ii", (1, 1)),
    (_BITS, "<BBB", (8, 8, 22)),
)


def pack(arpa: Path, target: Path, bits: int = 8) -> None:
    """Write ``target`` from an ARPA file, in a process of its own: KenLM ends a process that gives it a broken file.

    Args:
        arpa: the model as text.
        target: the binary; replaced.
        bits: bits of each probability and back-off weight.

    Raises:
        AcousticError: KenLM is missing, is another build than the one this knows, or refuses the file.
    """
    command = [sys.executable, "-m", __name__, str(arpa), str(target), str(bits)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        said = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
        raise AcousticError(f"KenLM cannot pack {arpa}: {said[-1]}")


def _write(arpa: str, target: str, bits: int) -> None:
    import flashlight.lib.text as text

    packages = Path(text.__file__).parents[3]
    try:
        (path,) = (packages / "ufal_flashlight_text.libs").glob("libkenlm-*.so")
    except ValueError:
        raise SystemExit(_FOREIGN) from None
    library = ctypes.CDLL(str(path))
    construct = library._ZN2lm5ngram6ConfigC1Ev  # Config::Config()
    construct.argtypes, construct.restype = [ctypes.c_void_p], None
    load = library._ZN2lm5ngram11LoadVirtualEPKcRKNS0_6ConfigENS0_9ModelTypeE  # LoadVirtual(file, config, type)
    load.argtypes, load.restype = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int], ctypes.c_void_p
    config = ctypes.create_string_buffer(1024)
    construct(ctypes.addressof(config))
    for offset, layout, values in _FRESH:
        if struct.unpack_from(layout, config, offset) != values:
            raise SystemExit(_FOREIGN)
    name = ctypes.create_string_buffer(target.encode())
    struct.pack_into("<Q", config, _WRITE_MMAP, ctypes.addressof(name))
    struct.pack_into("<BB", config, _BITS, bits, bits)
    load(arpa.encode(), ctypes.addressof(config), QUANTISED_ARRAY_TRIE)


if __name__ == "__main__":
    _write(sys.argv[1], sys.argv[2], int(sys.argv[3]))
