"""`tritone transcribe`: audio files to text, several at once, results in the order of the files.

One file's way through a stream is in `_job`, formats and destinations in `_formats` and `_outputs`.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from tritone_client._client import Client
from tritone_client._errors import ConnectionFailed, InvalidOption, ProtocolError, ServerFull, StreamLost, TritoneError
from tritone_client._events import Event, Partial
from tritone_client._stream import Stream
from tritone_client.audio import Source, open_source, open_stdin
from tritone_client.cli._arguments import add_raw_arguments, add_stream_arguments, make_client, make_options
from tritone_client.cli._formats import FORMATS
from tritone_client.cli._interrupt import Interrupted, until_interrupted
from tritone_client.cli._job import BULK_MS, Tally, feed
from tritone_client.cli._outputs import Outputs, open_outputs
from tritone_client.cli._terminal import Terminal, bar, clock

_REQUEST_S = 60.0
_UNREACHABLE = (ConnectionFailed, ProtocolError)
"""Errors that every further file would meet too."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.usage = "tritone transcribe FILE... [options]"
    parser.description = "Recognise audio files: wav, flac, mp3, ogg, opus, or raw (.raw .sln .pcm .ulaw .alaw)."
    parser.epilog = """example:
  tritone transcribe call.wav
  tritone transcribe calls/*.mp3 --format srt --output subtitles/
  ffmpeg -i film.mkv -f s16le -ar 16000 -ac 1 - | tritone transcribe - --sample-rate 16000"""
    parser.add_argument("files", nargs="+", metavar="FILE", help="audio files; - for standard input")
    parser.add_argument("--format", choices=list(FORMATS), default="text", help="of the output (text)")
    parser.add_argument("--output", metavar="FILE|DIR/", help="where it goes (standard output)")
    parser.add_argument("--realtime", action="store_true", help="send at the pace of a call and measure its latency")
    parser.add_argument("--jobs", metavar="N", type=int, default=4, help="files at once (4)")
    add_raw_arguments(parser, "raw audio")
    add_stream_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Transcribe the files.

    Returns:
        0, or 1 if a file failed, 130 when interrupted.

    Raises:
        InvalidOption: the arguments make no sense together.
    """
    if args.jobs < 1:
        raise InvalidOption(f"--jobs must be at least 1, not {args.jobs}")
    if args.files.count("-") > 1:
        raise InvalidOption("standard input can be read only once; give - only once")
    terminal = Terminal(quiet=args.quiet)
    outputs = open_outputs(args.files, args.format, args.output, terminal, words=args.words)
    return asyncio.run(_Transcription(args, terminal, outputs).run())


class _Transcription:
    """All files of one command."""

    def __init__(self, args: argparse.Namespace, terminal: Terminal, outputs: Outputs) -> None:
        self._args = args
        self._terminal = terminal
        self._outputs = outputs
        self._tally = Tally()
        self._partials = not args.no_partials and (terminal.live or args.format == "jsonl")
        self._finished = 0
        self._failed = 0
        self._active: dict[int, str] = {}  # files with an open stream, and the open phrase of each
        self._freed = 0  # streams that were closed so far
        self._slot_freed = asyncio.Condition()

    async def run(self) -> int:
        began = time.monotonic()
        status = 0
        client = make_client(self._args, _REQUEST_S)
        try:
            async with client:
                await until_interrupted(self._all(client))
        except Interrupted:
            self._terminal.note("interrupted")
            status = 130
        except _UNREACHABLE as error:
            self._terminal.error(error.user_message)
            status = error.exit_status
        finally:
            self._terminal.clear()
            self._outputs.close()
        self._summarise(time.monotonic() - began)
        return status or (1 if self._failed else 0)

    async def _all(self, client: Client) -> None:
        places = asyncio.Semaphore(self._args.jobs)
        tasks = [asyncio.ensure_future(self._file(client, places, i, name)) for i, name in enumerate(self._args.files)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _file(self, client: Client, places: asyncio.Semaphore, index: int, name: str) -> None:
        """One file from opening to its last event. Errors that concern only this file end here."""
        async with places:
            source: Source | None = None
            failed = False
            try:
                source = await self._open(name)
                await self._transcribe(client, index, source)
                for note in source.notes:
                    self._terminal.note(f"note: {source.name}: {note}")
                if source.problem is not None:
                    failed = True
                    self._fail(f"{source.name}: {source.problem}")
            except _UNREACHABLE:
                raise
            except TritoneError as error:
                failed = True
                if isinstance(error, StreamLost):
                    for event in error.events:
                        self._outputs.event(index, event)
                shown = source.name if source else name
                message = error.user_message
                self._fail(message if message.startswith(shown) or name == "-" else f"{shown}: {message}")
            finally:
                if source is not None:
                    source.close()
            self._finished += 1
            self._outputs.done(index, failed=failed)

    async def _open(self, name: str) -> Source:
        if name == "-":
            return await open_stdin(self._args.encoding, self._args.sample_rate)
        return open_source(Path(name), self._args.encoding, self._args.sample_rate)

    async def _transcribe(self, client: Client, index: int, source: Source) -> None:
        options = make_options(
            self._args, encoding=source.encoding, sample_rate=source.sample_rate, partials=self._partials
        )
        while True:
            freed = self._freed
            try:
                async with client.stream(options) as stream:
                    self._active[index] = ""
                    await self._feed(stream, index, source)
                return
            except ServerFull:
                # Refused before any audio was read. Our own streams may be what fills the service: wait for one.
                if index in self._active or not self._active:
                    raise
                async with self._slot_freed:
                    while self._freed == freed:
                        await self._slot_freed.wait()
            finally:
                if self._active.pop(index, None) is not None:
                    async with self._slot_freed:
                        self._freed += 1
                        self._slot_freed.notify_all()

    async def _feed(self, stream: Stream, index: int, source: Source) -> None:
        def on_event(event: Event) -> None:
            self._active[index] = event.text if isinstance(event, Partial) else ""
            self._outputs.event(index, event)

        def on_progress(seconds: float) -> None:
            if index == min(self._active):
                self._terminal.status(self._status(source, seconds), self._active[index])

        await feed(
            stream, source, self._tally, realtime=self._args.realtime, on_event=on_event, on_progress=on_progress
        )

    def _status(self, source: Source, seconds: float) -> str:
        parts = [Path(source.name).name]
        if len(self._args.files) > 1:
            parts.insert(0, f"{self._finished}/{len(self._args.files)}")
        if source.seconds:
            parts += [bar(seconds / source.seconds), f"{clock(seconds)}/{clock(source.seconds)}"]
        else:
            parts.append(clock(seconds))
        return "  ".join(parts) + "  "

    def _fail(self, message: str) -> None:
        self._failed += 1
        self._terminal.error(message)

    def _summarise(self, wall_s: float) -> None:
        tally = self._tally
        if not tally.chunks:
            return
        files = f"{self._finished} file{'s' if self._finished != 1 else ''}" + (
            f", {self._failed} with errors" if self._failed else ""
        )
        self._terminal.note(
            f"{files}: {tally.seconds:.1f} s of audio in {wall_s:.1f} s, real-time factor {wall_s / tally.seconds:.3f}"
        )
        if self._args.realtime:
            kind = "chunks of 300 ms, latency after the last sample"
            late = f", {tally.late} later than 300 ms"
        else:
            kind = f"requests of up to {BULK_MS // 1000} s, answered in"
            late = ""
        self._terminal.note(f"{tally.chunks} {kind}: {tally.latency.summary()}{late}")
        if tally.resumed:
            self._terminal.note(f"the service was lost and streams resumed {tally.resumed} times; nothing is missing")
