"""Decodes whole clips the way a stream is decoded, without threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tritone_backend.decoding import DecodedWord, FrameDecisions, GreedyDecoder
from tritone_backend.decoding.pool import Searcher
from tritone_backend.decoding.rescue import falls_short
from tritone_backend.endpointing import Endpointer
from tritone_backend.options import StreamOptions
from tritone_backend.spec import AcousticSpec


def decode(spec: AcousticSpec, logprobs: NDArray[np.float32], search: Searcher | None) -> list[DecodedWord]:
    """Words of all phrases of a clip.

    Args:
        spec: the acoustic model.
        logprobs: float32 [frames, classes].
        search: what searches the phrases; None for greedy decoding.
    """
    options = StreamOptions()
    frame_ms = spec.frame_seconds * 1000
    endpointer = Endpointer(round(options.endpointing_ms / frame_ms), round(options.max_phrase_ms / frame_ms))
    greedy = GreedyDecoder(spec)
    decisions = FrameDecisions.of(logprobs[None], spec)
    words: list[DecodedWord] = []
    step = spec.frames_per_chunk
    for first in range(0, len(logprobs), step):
        part = slice(first, first + step)
        greedy.push(decisions.ids[0, part].tolist(), decisions.probabilities[0, part].tolist())
        closed = endpointer.push(decisions.silent[0, part].tolist())
        if first + step >= len(logprobs) and (last := endpointer.finish()):
            closed.append(last)
        for span in closed:
            if search and span.end > first:
                search.push(logprobs[max(span.start, first) : span.end], max(span.start, first))
            heard = greedy.close(span).words
            found = search.finish() if search else heard
            words += heard if falls_short(found, heard) else found
        if endpointer.start is None:
            greedy.forget()
        elif search:
            begin = max(endpointer.start, first)
            search.push(logprobs[begin : first + step], begin)
    return words
