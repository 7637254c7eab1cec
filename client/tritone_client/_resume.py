"""What makes a stream survive the loss of its service: the audio to replay and the events already delivered.

Pure arithmetic on bytes and milliseconds, no input or output; `_stream` does the talking.

The network's answer depends on about 20 s of audio before it and on where its 300 ms chunks begin. A resumed
stream therefore starts 25 s before the end of the last final that was delivered, on the chunk grid of the
lost stream, and asks the service not to report again what ended by then. The finals that follow are those of
an unbroken stream.
"""

from __future__ import annotations

import dataclasses

from tritone_client._events import Event, Final, Partial, shifted
from tritone_client._options import Options

CONTEXT_MS = 25_000
"""Audio replayed before the end of the last delivered final."""

NETWORK_MEMORY_MS = 20_000
"""Audio after which the network no longer remembers how a stream began."""

MAX_PHRASE_MS = 60_000
"""Longest phrase of a service that was not told another limit."""


@dataclasses.dataclass(frozen=True, slots=True)
class Replay:
    """How to take a lost stream up again.

    Attributes:
        origin_ms: where on the lost stream's axis the new one begins; a multiple of the chunk grid.
        resume_after_ms: on the new stream's axis: nothing that ends by then is to be reported.
        heard: audio that the service had answered before the loss.
        unheard: audio that was sent, or meant to be sent, without an answer.
    """

    origin_ms: int
    resume_after_ms: int
    heard: bytes
    unheard: bytes


class ReplayLog:
    """The recent audio of one stream and the end of what was delivered from it.

    Positions are bytes from the first byte of the stream, times milliseconds from its first sample. Holds the
    audio from 25 s before the end of the last final, at most 25 s and one longest phrase before what was
    answered.
    """

    def __init__(self, options: Options) -> None:
        self._bytes_per_second = options.bytes_per_second
        self._grid_ms = options.grid_ms
        self._most_ms = CONTEXT_MS + (options.max_phrase_ms or MAX_PHRASE_MS)
        self._audio = bytearray()
        self._base_ms = 0  # time of the first byte held; always on the grid
        self._answered = 0  # bytes of the stream that were answered
        self._replayed = 0  # up to here the present sequence repeats what was answered before
        self._origin_ms = 0  # where the present sequence begins
        self._last_final_ms = -1
        self._last_partial: Partial | None = None

    @property
    def end(self) -> int:
        """Bytes of the stream so far."""
        return self._position(self._base_ms) + len(self._audio)

    @property
    def held(self) -> int:
        """Bytes held at present."""
        return len(self._audio)

    def append(self, audio: bytes) -> None:
        """Note audio that is about to be sent."""
        self._audio += audio

    def rollback(self) -> None:
        """Forget what was appended and not answered: the service refused to take it."""
        del self._audio[self._answered - self._position(self._base_ms) :]

    def accept(self, events: list[Event], upto: int) -> list[Event]:
        """Take the answer to the audio up to a position and say what of it is new.

        Args:
            events: as the service reported them, on the axis of the present sequence.
            upto: position of the last byte answered.

        Returns:
            The events to deliver, on the axis of the whole stream: no final twice, no partial of audio whose
            partials were delivered before, no partial that only repeats the text of the one before it.
        """
        repeated = upto <= self._replayed
        new: list[Event] = []
        for reported in events:
            event = shifted(reported, self._origin_ms / 1000)
            if isinstance(event, Final):
                end_ms = round(event.end * 1000)
                if end_ms <= self._last_final_ms:
                    continue
                self._last_final_ms = end_ms
                self._last_partial = None
            elif repeated or self._was_shown(event):
                continue
            else:
                self._last_partial = event
            new.append(event)
        self._answered = max(self._answered, upto)
        self._trim()
        return new

    def replay(self) -> Replay:
        """Begin a new sequence: what it has to say, and from now on the axis `accept` reads events on."""
        origin_ms = max(self._base_ms, self._on_grid(self._last_final_ms - CONTEXT_MS))
        if origin_ms == 0:
            resume_after_ms = max(0, self._last_final_ms)
        else:
            # After a long silence the last final lies before the audio held: then nothing was open when the
            # network # had heard enough, and everything it reports from there on is news.
            resume_after_ms = max(self._last_final_ms - origin_ms, NETWORK_MEMORY_MS)
        self._origin_ms = origin_ms
        self._replayed = self._answered
        base = self._position(self._base_ms)
        first, heard = self._position(origin_ms) - base, self._answered - base
        return Replay(
            origin_ms,
            resume_after_ms,
            bytes(self._audio[first:heard]),
            bytes(self._audio[max(first, heard) :]),
        )

    def _was_shown(self, partial: Partial) -> bool:
        last = self._last_partial
        return last is not None and (last.text, last.start) == (partial.text, partial.start)

    def _trim(self) -> None:
        answered_ms = self._answered * 1000 // self._bytes_per_second
        keep_ms = max(self._base_ms, self._last_final_ms - CONTEXT_MS, answered_ms - self._most_ms)
        keep_ms = self._on_grid(keep_ms)
        if keep_ms > self._base_ms:
            del self._audio[: self._position(keep_ms) - self._position(self._base_ms)]
            self._base_ms = keep_ms

    def _on_grid(self, ms: int) -> int:
        return max(0, ms // self._grid_ms * self._grid_ms)

    def _position(self, grid_ms: int) -> int:
        # Exact: a multiple of the grid is a whole number of samples.
        return grid_ms * self._bytes_per_second // 1000
