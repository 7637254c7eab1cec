"""Greedy CTC: collapse, words, times, confidence, and phrases cut by the endpointer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritone_backend.decoding import FrameDecisions, GreedyDecoder
from tritone_backend.endpointing import Span
from tritone_backend.options import StreamOptions
from tritone_backend.transcriber import Transcriber

pytestmark = pytest.mark.unit


def logprobs_of(text: str, spec, certainty: float = 0.98) -> np.ndarray:
    """float32 [len(text), classes]: one frame a character, '-' for blank, ' ' for space."""
    rest = (1 - certainty) / (spec.classes - 1)
    rows = np.full((len(text), spec.classes), np.log(rest), np.float32)
    for frame, character in enumerate(text):
        rows[frame, spec.blank if character == "-" else spec.labels.index(character)] = np.log(certainty)
    return rows


def transcribe(text: str, spec, **options) -> list[dict]:
    """Events of a stream whose network says ``text``, frame by frame (a multiple of 10 frames)."""
    transcriber = Transcriber(spec, StreamOptions(**options))
    rows = logprobs_of(text, spec)
    for begin in range(0, len(rows), 10):
        decisions = FrameDecisions.of(rows[None, begin : begin + 10], spec)
        transcriber.decode(decisions, 0, transcriber.endpoint(decisions, 0))
    transcriber.close()
    return transcriber.take_result()


def collapse(text: str) -> str:
    kept = [c for c, before in zip(text, "-" + text, strict=False) if c != before and c != "-"]
    return " ".join("".join(kept).split())


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="аб -", min_size=10, max_size=200))
def test_text_of_all_finals_equals_decoding_at_once(spec, text):
    text += "-" * (-len(text) % 10)
    finals = [event["text"] for event in transcribe(text, spec) if event["type"] == "final"]
    assert " ".join(finals) == collapse(text)


def test_partials_grow_and_the_final_closes_them(spec):
    events = transcribe("----да----" + "-мир------" + "-" * 30, spec)
    assert [(event["type"], event["text"]) for event in events] == [
        ("partial", "да"),
        ("partial", "дамир"),
        ("final", "дамир"),
    ]


def test_no_partials_when_not_wanted(spec):
    events = transcribe("----да----" + "-" * 30, spec, interim_results=False)
    assert [event["type"] for event in events] == ["final"]


def test_times_are_those_of_t_one(spec):
    (final,) = [e for e in transcribe("-" * 30 + "---дада---" + "-" * 30, spec, words=True) if e["type"] == "final"]
    delay = 0.33 + 0.3
    assert final["start"] == round(33 * 0.03 - delay, 2)
    assert final["end"] == round(37 * 0.03 - delay, 2)
    (word,) = final["words"]
    assert (word["word"], word["start"], word["end"]) == ("дада", final["start"], final["end"])
    assert final["confidence"] == pytest.approx(0.98, abs=1e-3)


def test_a_letter_that_lasts_over_a_forced_cut_is_printed_once(spec):
    decoder = GreedyDecoder(spec)
    letter = spec.labels.index("а")
    decoder.push([letter] * 10, [0.9] * 10)
    assert decoder.close(Span(0, 10)).text == "а"
    decoder.push([letter] * 3 + [spec.labels.index("б")] * 7, [0.9] * 10)
    assert decoder.close(Span(10, 20)).text == "б"


def test_resume_reports_only_what_comes_after(spec):
    text = "-" * 30 + "---да-----" + "-" * 30 + "---нет----" + "-" * 30
    finals = [e for e in transcribe(text, spec) if e["type"] == "final"]
    assert [e["text"] for e in finals] == ["да", "нет"]
    resumed = transcribe(text, spec, resume_after_ms=round(finals[0]["end"] * 1000))
    assert [e for e in resumed if e["type"] == "final"] == finals[1:]


def test_a_cut_phrase_resumes_at_the_cut(spec):
    text = "".join("абвгд"[i % 5] for i in range(120)) + "-" * 30
    finals = [e for e in transcribe(text, spec, max_phrase_ms=1000) if e["type"] == "final"]
    assert len(finals) > 2
    for done in range(1, len(finals)):
        resumed = transcribe(text, spec, max_phrase_ms=1000, resume_after_ms=round(finals[done]["end"] * 1000))
        assert [e for e in resumed if e["type"] == "final"] == finals[done + 1 :]


def test_work_per_chunk_does_not_grow_with_the_phrase(spec):
    """Counts characters handled per partial, not seconds: the machine is noisy."""
    transcriber = Transcriber(spec, StreamOptions())
    rows = logprobs_of("аб-вг-д-е-", spec)
    decisions = FrameDecisions.of(rows[None], spec)
    for _ in range(150):
        transcriber.decode(decisions, 0, transcriber.endpoint(decisions, 0))
    assert len(transcriber._decoder._fresh) == 0
    assert transcriber.take_result()[-1]["text"] == "абвгде" * 150
