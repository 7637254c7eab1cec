"""`tritone listen`: the microphone, or raw audio from a pipe, to text as it is spoken.

Files are for `transcribe`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable

from tritone_client._errors import StreamLost
from tritone_client._events import Event, Partial
from tritone_client._stream import Stream
from tritone_client._wire import CHUNK_MS
from tritone_client.audio import Source, open_stdin
from tritone_client.cli._arguments import add_raw_arguments, add_stream_arguments, make_client, make_options
from tritone_client.cli._formats import Formatter
from tritone_client.cli._interrupt import on_interrupt
from tritone_client.cli._terminal import Terminal

_REQUEST_S = 10.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.usage = "tritone listen [options]"
    parser.description = "Recognise the microphone, or raw audio from a pipe, until Ctrl-C or the end of the pipe."
    parser.epilog = """example:
  tritone listen
  arecord -q -t raw -f S16_LE -r 16000 | tritone listen --stdin --sample-rate 16000"""
    parser.add_argument("--stdin", action="store_true", help="raw audio from standard input, no microphone")
    parser.add_argument("--device", metavar="NAME|N", help="microphone (the system's default)")
    parser.add_argument("--list-devices", action="store_true", help="show the microphones and leave")
    parser.add_argument("--format", choices=["text", "jsonl"], default="text", help="of the output (text)")
    add_raw_arguments(parser, "standard input")
    add_stream_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Listen until interrupted.

    Returns:
        0, also after Ctrl-C: that is how one stops listening.

    Raises:
        AudioFileError: no microphone, or standard input holds no audio.
        TritoneError: the service cannot be reached or was lost.
    """
    if args.list_devices:
        from tritone_client.audio._microphone import devices

        print("\n".join(devices()))
        return 0
    terminal = Terminal(quiet=args.quiet)
    try:
        asyncio.run(_listen(args, terminal))
    finally:
        terminal.clear()
    return 0


async def _listen(args: argparse.Namespace, terminal: Terminal) -> None:
    source = await _open(args)
    partials = not args.no_partials and (terminal.live or args.format == "jsonl")
    options = make_options(args, encoding=source.encoding, sample_rate=source.sample_rate, partials=partials)
    formatter = Formatter(args.format, words=args.words)

    def show(events: list[Event]) -> None:
        for event in events:
            if text := formatter.event(source.name, event):
                terminal.write(sys.stdout, text)
            if isinstance(event, Partial):
                terminal.status("", event.text, at_once=True)
            else:
                terminal.clear()

    try:
        async with make_client(args, _REQUEST_S) as client, client.stream(options) as stream:
            terminal.note(f"listening to {source.name} at {source.sample_rate} Hz; Ctrl-C ends")
            hearing = asyncio.ensure_future(_hear(source, stream, show))
            with on_interrupt(hearing.cancel):
                await asyncio.wait([hearing])
            if not hearing.cancelled():
                hearing.result()
            show(await stream.finish())
            terminal.note(f"{stream.latency.summary().count} requests, answered in {stream.latency.summary()}")
    except StreamLost as error:
        show(list(error.events))
        raise
    finally:
        source.close()


async def _hear(source: Source, stream: Stream, show: Callable[[list[Event]], None]) -> None:
    async for block in source.blocks(CHUNK_MS):
        show(await stream.send(block))


async def _open(args: argparse.Namespace) -> Source:
    if args.stdin:
        return await open_stdin(args.encoding, args.sample_rate)
    from tritone_client.audio._microphone import Microphone

    return Microphone(args.device, args.sample_rate)
