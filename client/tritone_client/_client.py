"""The client: addresses, connections, and the two ways to stream.

The life of one stream is in `_stream`; this module only opens them.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from tritone_client._chunker import Chunker
from tritone_client._errors import InvalidOption
from tritone_client._events import Event
from tritone_client._health import Health
from tritone_client._options import OptionFields, Options, Timeouts
from tritone_client._stream import Stream
from tritone_client._tls import Tls, check_key_is_hidden
from tritone_client._transport import Transport
from tritone_client._wire import DEFAULT_ADDRESS

if TYPE_CHECKING:
    from typing_extensions import Unpack

_DEFAULT_PORT = DEFAULT_ADDRESS.rpartition(":")[2]


class Client:
    """A client of one Tritone service, or of several that stand in for one another.

    ::

        async with Client("localhost:8001") as client:
            async for event in client.transcribe(audio_chunks, encoding="mulaw"):
                print(event.type, event.text)

    Streams are spread in turn over the addresses that answer and admit; one whose service goes away moves to the next.
    Any number of streams share one connection per address. Use it within one event loop.

    Args:
        addresses: ``"host:port"`` or several of them; the port defaults to 8001.
        timeout: seconds for the answer to one request, or `Timeouts` to say more.
        transport: makes the transport for an address; None for gRPC.
        tls: encrypt the connections; None: do not.
        api_key: sent with every request; never in an error or a log.

    Raises:
        InvalidOption: there is no address, one is no ``host:port``, or the key would travel unencrypted to another
            machine.
    """

    def __init__(
        self,
        addresses: str | Sequence[str] = DEFAULT_ADDRESS,
        *,
        timeout: float | Timeouts | None = None,
        transport: Callable[[str], Transport] | None = None,
        tls: Tls | None = None,
        api_key: str | None = None,
    ) -> None:
        names = [addresses] if isinstance(addresses, str) else list(addresses)
        self._addresses = [_host_and_port(name) for name in names]
        if not self._addresses:
            raise InvalidOption("give the address of at least one service")
        if timeout is None:
            timeout = Timeouts()
        self._timeouts = timeout if isinstance(timeout, Timeouts) else Timeouts(request=timeout)
        for address in self._addresses:
            check_key_is_hidden(api_key, address, tls)
        self._make_transport = transport or functools.partial(_grpc_transport, tls=tls, api_key=api_key)
        self._transports: list[Transport] = []
        self._turn = itertools.count()
        self._health = Health()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; streams still open fail with `StreamClosed`."""
        await self._health.close()
        transports, self._transports = self._transports, []
        for transport in transports:
            await transport.close()

    def stream(self, options: Options | None = None, **fields: Unpack[OptionFields]) -> Stream:
        """A stream to feed by hand; opens on entering its context.

        ::

            async with client.stream(encoding="alaw", words=True) as stream:
                events = await stream.send(audio)
                events += await stream.finish()

        Args:
            options: all options at once.
            **fields: fields of `Options` by name; they prevail over `options`.

        Raises:
            InvalidOption: an option has an impossible value. Entering the context raises `ConnectionFailed`,
                `ServerFull` (after ``timeouts.admission`` seconds) or `BadRequest`.
        """
        chosen = dataclasses.replace(options or Options(), **fields)
        if not self._transports:
            self._transports = [self._make_transport(address) for address in self._addresses]
        first = next(self._turn) % len(self._transports)
        transports = [*self._transports[first:], *self._transports[:first]]
        return Stream(transports, chosen, self._timeouts, self._health)

    async def transcribe(
        self,
        audio: AsyncIterable[bytes] | Iterable[bytes],
        options: Options | None = None,
        **fields: Unpack[OptionFields],
    ) -> AsyncIterator[Event]:
        """Send audio as it comes and yield events as they arrive.

        Audio is gathered into the network's chunks of 300 ms first; events come no later for that.

        Args:
            audio: pieces of bytes of any size; an ordinary iterator must not block for long, since it runs on
                the event loop.
            options: all options at once.
            **fields: fields of `Options` by name; they prevail over `options`.

        Yields:
            Partials and finals in order.

        Raises:
            TritoneError: as `stream` and `Stream.send` say.
        """
        async with self.stream(options, **fields) as stream:
            chunker = Chunker(stream.options)
            async for block in _asynchronous(audio):
                if piece := chunker.push(block):
                    for event in await stream.send(piece):
                        yield event
            events = await stream.send(rest) if (rest := chunker.flush()) else []
            for event in events + await stream.finish():
                yield event


async def _asynchronous(audio: AsyncIterable[bytes] | Iterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(audio, AsyncIterable):
        async for block in audio:
            yield block
    else:
        for block in audio:
            yield block


def _grpc_transport(address: str, *, tls: Tls | None, api_key: str | None) -> Transport:
    # Here, not above: importing gRPC takes a third of a second, which `tritone --help` need not spend.
    from tritone_client._grpc import GrpcTransport

    return GrpcTransport(address, tls=tls, api_key=api_key)


def _host_and_port(name: str) -> str:
    if "://" in name:
        raise InvalidOption(f"{name!r} is no address of a service; write HOST:PORT, without http://")
    bracketed = name.endswith("]")
    host, colon, port = name.rpartition(":")
    if not colon or bracketed:
        host, port = name, _DEFAULT_PORT
    if not host or not port.isdigit() or not 0 < int(port) < 65536 or any(c.isspace() for c in host):
        raise InvalidOption(f"{name!r} is no address of a service; write HOST:PORT, for example {DEFAULT_ADDRESS}")
    return f"{host}:{port}"
