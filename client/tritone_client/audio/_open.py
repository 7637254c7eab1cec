"""Decides what a file or standard input is and opens the fitting source, or says in one line why it cannot.

The sources themselves are in `_raw` and `_decoded`.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO, Final

from tritone_client._errors import AudioFileError
from tritone_client._options import Options
from tritone_client._wire import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from tritone_client.audio._raw import PipeSource, RawSource
from tritone_client.audio._riff import read_header
from tritone_client.audio._source import Source

RAW_SUFFIXES: Final = {
    ".ulaw": ("mulaw", 8000),
    ".ul": ("mulaw", 8000),
    ".mulaw": ("mulaw", 8000),
    ".pcmu": ("mulaw", 8000),
    ".alaw": ("alaw", 8000),
    ".al": ("alaw", 8000),
    ".pcma": ("alaw", 8000),
    ".raw": ("pcm_s16le", 8000),
    ".pcm": ("pcm_s16le", 8000),
    ".sln": ("pcm_s16le", 8000),
    ".sln12": ("pcm_s16le", 12000),
    ".sln16": ("pcm_s16le", 16000),
    ".sln24": ("pcm_s16le", 24000),
    ".sln32": ("pcm_s16le", 32000),
    ".sln44": ("pcm_s16le", 44100),
    ".sln48": ("pcm_s16le", 48000),
}
"""Names of files without a header, as telephony software gives them: suffix -> encoding, sample rate."""

_CONTAINERS: Final = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b"ID3", b"FORM", b".snd", b"caff")
_STDIN_NAME: Final = "standard input"


def open_source(path: Path, encoding: str | None = None, sample_rate: int | None = None) -> Source:
    """Open an audio file.

    Args:
        path: a file with a header that libsndfile knows, or a headerless one with one of `RAW_SUFFIXES`, or any other
            when `encoding` or `sample_rate` is given.
        encoding: of a headerless file; None for what its suffix says, or 16-bit PCM.
        sample_rate: of a headerless file, in Hz; None for what its suffix says, or 8000.

    Raises:
        AudioFileError: missing, a directory, empty, not audio, or at a rate the service does not take.
        InvalidOption: the encoding or the rate is impossible.
    """
    return _open(path, str(path), encoding, sample_rate)


async def open_stdin(encoding: str | None = None, sample_rate: int | None = None) -> Source:
    """Open standard input: raw audio, or a file of any kind `open_source` takes.

    Raw audio is passed on as it arrives. A file with a header that comes through a pipe is stored on disk first,
    because its end may be needed to read its beginning.

    Raises:
        AudioFileError, InvalidOption: as for `open_source`.
    """
    if stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode):
        return _open(Path(f"/dev/fd/{sys.stdin.fileno()}"), _STDIN_NAME, encoding or "pcm_s16le", sample_rate)
    if sys.stdin.isatty():
        raise AudioFileError("standard input is a terminal: pipe audio into it, or name a file")
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    head = b""
    while len(head) < 4 and (more := await reader.read(4 - len(head))):
        head += more
    if not head:
        raise AudioFileError("standard input is empty")
    if not head.startswith(_CONTAINERS):
        options = Options(encoding=encoding or "pcm_s16le", sample_rate=sample_rate or 8000)
        return PipeSource(reader, head, _STDIN_NAME, options.encoding, options.sample_rate)
    with tempfile.NamedTemporaryFile(prefix="tritone-") as copy:
        copy.write(head)
        while data := await reader.read(1 << 20):
            copy.write(data)
        copy.flush()
        return _open(Path(copy.name), _STDIN_NAME, None, None)  # the open file outlives its name


def _open(path: Path, name: str, encoding: str | None, sample_rate: int | None) -> Source:
    try:
        if path.is_dir():
            raise AudioFileError(f"{name}: is a directory; name the files in it")
        size = path.stat().st_size
        file = path.open("rb")
    except OSError as error:
        raise AudioFileError(f"{name}: {_os_reason(error)}") from error
    try:
        return _identify(file, path, name, size, encoding, sample_rate)
    except BaseException:
        file.close()
        raise


def _identify(
    file: BinaryIO, path: Path, name: str, size: int, encoding: str | None, sample_rate: int | None
) -> Source:
    if size == 0:
        raise AudioFileError(f"{name}: is empty")
    raw = RAW_SUFFIXES.get(path.suffix.lower())
    if raw is None:
        found = _with_header(file, name, size)
        if found is not None:
            return found
        if encoding is None and sample_rate is None:
            raise AudioFileError(
                f"{name}: is not audio that can be read; for raw audio add --encoding and --sample-rate"
            )
    default = raw or ("pcm_s16le", 8000)
    options = Options(encoding=encoding or default[0], sample_rate=sample_rate or default[1])
    file.seek(0)
    return RawSource(file, name, options.encoding, options.sample_rate, size)


def _with_header(file: BinaryIO, name: str, size: int) -> Source | None:
    import soundfile

    from tritone_client.audio._decoded import DecodedSource, ForwardFile

    header = read_header(file, size)
    if header is not None:
        _check(name, header.sample_rate, header.size)
        if header.encoding is not None:
            file.seek(header.data_start)
            return RawSource(file, name, header.encoding, header.sample_rate, header.size, header.promised)
    file.seek(0)
    try:
        opened = ForwardFile(file)
    except soundfile.LibsndfileError as error:
        file.seek(0)
        if file.read(4).startswith(_CONTAINERS):
            reason = str(error.error_string).strip().rstrip(".").lower()
            raise AudioFileError(f"{name}: is damaged or of a kind that cannot be read ({reason})") from error
        return None
    _check(name, opened.samplerate, opened.frames)
    promised_s = None
    if header is not None and header.promised is not None and header.bytes_per_second:
        promised_s = header.promised / header.bytes_per_second
    return DecodedSource(opened, file, name, promised_s)


def _check(name: str, sample_rate: int, length: int) -> None:
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise AudioFileError(
            f"{name}: {sample_rate} Hz is outside the {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz taken; convert it"
        )
    if length == 0:
        raise AudioFileError(f"{name}: holds no audio")


def _os_reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return (error.strerror or str(error)).lower()
