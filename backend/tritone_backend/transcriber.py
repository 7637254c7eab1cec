"""One stream of `streaming_asr`: audio bytes in, events out. Composes the stages; knows nothing of slots or Triton."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from tritone_backend.audio import AudioBuffer
from tritone_backend.decoding import DecodedPhrase, DecodedWord, FrameDecisions, GreedyDecoder
from tritone_backend.decoding.awaited import Part, PendingEvents
from tritone_backend.decoding.confidence import PhraseConfidence
from tritone_backend.decoding.partials import StablePartial
from tritone_backend.decoding.service import Decoding
from tritone_backend.decoding.settings import DecodingSettings
from tritone_backend.endpointing import Endpointer, Span
from tritone_backend.events import Event, TimeAxis, event
from tritone_backend.options import StreamOptions
from tritone_backend.spec import AcousticSpec


class Transcriber:
    """Turns one stream's audio into partial and final phrases, a chunk at a time."""

    def __init__(
        self, spec: AcousticSpec, options: StreamOptions, decoding: Decoding | None = None, stream_id: int | str = 0
    ) -> None:
        """Begin a stream.

        Args:
            spec: the acoustic model.
            options: what the client asked for.
            decoding: searches beside greedy decoding; without it greedy is all there is.
            stream_id: under which trouble with the search is reported.
        """
        settings = decoding.settings if decoding else DecodingSettings()
        self._options = options
        self._calibration = settings.calibration
        self._sure = PhraseConfidence(settings.calibration)  # of partials
        self._axis = TimeAxis(spec, settings.timing)
        self._decoding = decoding
        self._search = decoding.open(options, stream_id) if decoding else None
        self._partial = StablePartial()
        self._showing = threading.Lock()  # partials are made where the search is known: on this thread or on its
        self._audio = AudioBuffer(spec, options.encoding, options.sample_rate)
        self._decoder = GreedyDecoder(spec)
        frame_ms = spec.frame_seconds * 1000
        self._endpointer = Endpointer(
            max(1, round(options.endpointing_ms / frame_ms)),
            round(options.max_phrase_ms / frame_ms),
            self._axis.frame(options.resume_after_ms / 1000),
        )
        self._frames = 0
        self._parts: list[Part[Event]] = []

    @property
    def pending_chunks(self) -> int:
        """Chunks that wait for the network."""
        return self._audio.pending_chunks

    @property
    def resampling_us(self) -> float:
        """Microseconds that resampling took since the last ``feed`` began; NaN without any."""
        return self._audio.resampling_us

    def feed(self, data: bytes) -> None:
        """Append audio bytes. Raises StreamError ``bad-audio`` and changes nothing if they cannot be audio."""
        self._audio.feed(data)

    def finish_audio(self) -> None:
        """No audio follows: what remains becomes chunks, with the trained padding."""
        self._audio.finish()

    def take_chunk(self) -> NDArray[np.int16]:
        """Next chunk for the network, int16 [chunk_samples]."""
        return self._audio.take_chunk()

    def endpoint(self, decisions: FrameDecisions, row: int) -> list[Span]:
        """Take the network's answer for the chunk last taken, row ``row`` of a batch; return the phrases it closed."""
        return self._endpointer.push(decisions.silent[row].tolist())

    def decode(self, decisions: FrameDecisions, row: int, closed: list[Span]) -> None:
        """Turn the same answer into events, with the phrases that :meth:`endpoint` returned for it."""
        ids = decisions.ids[row].tolist()
        brought = self._decoder.push(ids, decisions.probabilities[row].tolist())
        first = self._frames
        self._frames += len(ids)
        for span in closed:
            self._push(decisions.logprobs[row], first, span.start, span.end)
            self._close(span)
        if self._endpointer.start is not None:
            self._push(decisions.logprobs[row], first, self._endpointer.start, self._frames)
        if self._endpointer.start is None:
            self._decoder.forget()
        elif brought and self._options.interim_results:
            self._show(self._endpointer.start)

    def close(self) -> None:
        """All audio went through the network: the open phrase is final."""
        span = self._endpointer.finish()
        if span is not None:
            self._close(span)

    def take_result(self) -> list[Event] | PendingEvents[Event]:
        """Events since the last call, oldest first."""
        parts, self._parts = self._parts, []
        events = [part for part in parts if not isinstance(part, tuple)]
        if self._decoding and len(events) < len(parts):
            return PendingEvents(parts, self._decoding.pool.give_up_later)
        return events

    def _push(self, logprobs: NDArray[np.float32], first: int, start: int, end: int) -> None:
        """Give the search the frames [start, end) of a chunk that begins at frame ``first``."""
        if self._search:
            rows = logprobs[max(0, start - first) : max(0, end - first)]
            if len(rows):
                self._search.push(rows, max(start, first))

    def _close(self, span: Span) -> None:
        phrase = self._decoder.close(span)

        def final(phrase: DecodedPhrase) -> Event | None:
            return self._event("final", phrase, span.start, span.end) if phrase.text else None

        if self._search:
            self._parts.append((self._search.finish(phrase), final))
        elif phrase.text:
            self._parts.append(self._event("final", phrase, span.start, span.end))

    def _show(self, start: int) -> None:
        greedy, end = self._decoder.peek(start), self._frames

        def partial(searched: list[DecodedWord]) -> Event | None:
            with self._showing:
                phrase = self._partial.show(start, greedy, searched)
                return self._event("partial", phrase, start, end) if phrase else None

        if self._search:
            self._parts.append((self._search.glance(start), partial))
        elif (event := partial([])) is not None:
            self._parts.append(event)

    def _event(self, kind: str, phrase: DecodedPhrase, start: int, end: int) -> Event:
        # Finals may be known on another thread than partials of the next phrase.
        sure = self._sure if kind == "partial" else PhraseConfidence(self._calibration)
        return event(kind, phrase, start, end, self._axis, sure, words=self._options.words)
