"""Targets that run our Triton models themselves, with a network that babbles: whatever is sent, every request is
answered once, in order, with events or one line, and a call beside it hears what it would hear alone."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
from tritone_backend.errors import Code
from tritone_client._events import parse_events

from tests.bench.babble_model import write_model
from tests.fuzz.parsers import SCRATCH
from tests.fuzz.reader import Reader
from tests.fuzz.triton_stand_in import END, START, Model, Request, Response, log

SLOTS = 6
MOST_BYTES = 3 * 2**20
OPTION_NAMES = ("encoding", "sample_rate", "interim_results", "endpointing_ms", "max_phrase_ms", "words")
OTHER_NAMES = (*OPTION_NAMES, "hotwords", "resume_after_ms", "probe", "drain", "admin_key")
VALID = {
    "encoding": ("pcm_s16le", "pcm_f32le", "mulaw", "alaw"),
    "sample_rate": (8000, 16000, 44100, 8001),
    "interim_results": (True, False),
    "endpointing_ms": (60, 600, 10_000),
    "max_phrase_ms": (1000, 60_000),
    "words": (True, False),
}
ENDING = re.compile(r" \[tritone:([a-z-]+)( [a-z_]+=[^\s\]]+)*\]\Z")
_ids = itertools.count(1)
_model_dir = write_model(SCRATCH / "babble")
_witness_audio = (np.random.default_rng(6).integers(-3000, 3000, 9600) * (np.arange(9600) // 1200 % 2)).astype("<i2")


class Calls:
    """One loaded model, and how to talk to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.model = Model(name, _model_dir, max_streams=SLOTS, idle_timeout_s=86_400.0)
        self.expected = self.witness(())

    def request(self, stream: int | str, flags: int, options: object, payload: bytes) -> Request:
        if self.name == "streaming_asr":
            inputs = {"audio": np.frombuffer(payload, np.uint8)[None]}
        else:
            samples = np.zeros(2400, np.int32)
            given = np.frombuffer(payload[: len(payload) // 4 * 4], "<i4")[:2400]
            samples[: len(given)] = given
            inputs = {"signal": samples.reshape(1, 2400, 1)}
        parameters = json.dumps(options if isinstance(options, dict) else {}, ensure_ascii=True)
        outputs = {"events", "timing"} if self.name == "streaming_asr" else {"logprobs"}
        return Request(stream, flags, parameters, inputs, outputs)

    def witness(self, hostile: tuple[list[Request], ...]) -> list[bytes]:
        """A call of known audio, a piece beside each group of hostile requests; what it was answered."""
        stream = next(_ids) + 2**40
        groups = [*hostile, *([[]] * max(0, 4 - len(hostile)))]
        heard = []
        for number, group in enumerate(groups):
            piece = _witness_audio[number * 2400 : (number + 1) * 2400].tobytes()
            flags = (START if number == 0 else 0) | (END if number == len(groups) - 1 else 0)
            if not piece and not flags and self.name != "streaming_asr":
                flags = 0
            own = self.request(stream, flags, {}, piece)
            position = len(group) // 2
            answers = self.model.execute([*group[:position], own, *group[position:]])
            for index, answer in enumerate(answers):
                check(answer, own=index == position)
            if number < 4:
                heard.append(b"".join(array.tobytes() for name, array in _lasting(answers[position])))
        return heard


def _lasting(answer: Response) -> list[tuple[str, np.ndarray]]:
    return sorted((name, array) for name, array in answer.outputs.items() if name != "timing")


def check(answer: Response, *, own: bool) -> None:
    """An answer keeps the wire contract."""
    if answer.error is None:
        if "events" in answer.outputs:
            json.loads(answer.outputs["events"].tobytes())
            for event in parse_events(answer.outputs["events"].tobytes()):
                assert 0.0 <= event.start <= event.end < 1e6
            assert answer.outputs["timing"].shape == (1, 10)
        else:
            rows = answer.outputs["logprobs"]
            assert rows.shape == (1, 10, 35)
            assert np.isfinite(rows).all()
        return
    message = str(answer.error)
    found = ENDING.search(message)
    assert found, f"no tag at the end of {message!r}"
    assert found.group(1) != Code.INTERNAL.value, message
    assert not own, f"a bystander was refused: {message}"
    assert len(message) < 2000
    assert all(ord(character) >= 32 for character in message), repr(message)
    message.encode()
    assert "Traceback" not in message


_calls: dict[str, Calls] = {}


def _run(name: str, data: bytes) -> None:
    if name not in _calls:
        _calls[name] = Calls(name)
    calls = _calls[name]
    reader = Reader(data)
    ids: list[int | str] = [next(_ids) for _ in range(3)]
    ids.append(f"юла\n{next(_ids)}")
    groups = []
    for _ in range(1 + reader.below(5)):
        group = []
        # Triton hands over at most one request of a sequence at a time.
        for stream in ids[: 1 + reader.below(len(ids))]:
            flags = reader.below(4)
            if reader.chance(40):
                flags |= START
            group.append(calls.request(stream, flags, _options(reader), _payload(reader)))
        groups.append(group)
    before = len(log)
    heard = calls.witness(tuple(groups))
    assert heard[:4] == calls.expected[:4] or len(groups) > 4, "a bystander heard something else"
    farewell = [calls.request(stream, END, {}, b"") for stream in ids]
    for answer in calls.model.execute(farewell):
        check(answer, own=False)
    assert calls.model.live == 0, "a stream was left behind"
    for line in log[before:]:
        assert "\n" not in line, f"a forged log line: {line!r}"
    del log[:]


def _options(reader: Reader) -> dict[str, object]:
    chosen: dict[str, object] = {}
    for name in OPTION_NAMES:
        if reader.chance(15):
            chosen[name] = reader.pick(VALID[name])
    if reader.chance(15):
        chosen[reader.pick((*OTHER_NAMES, reader.text()))] = reader.value()
    return chosen


def _payload(reader: Reader) -> bytes:
    if reader.chance(2):
        return bytes(2**21 + 1)
    loud = bytes(range(256)) * (reader.below(80))
    return loud[: reader.below(9000)] + reader.bytes(reader.below(200))


def asr(data: bytes) -> None:
    """Hostile requests to streaming_asr."""
    _run("streaming_asr", data)


def acoustic(data: bytes) -> None:
    """Hostile requests to streaming_acoustic."""
    _run("streaming_acoustic", data)


def close() -> None:
    """Stop the models' threads."""
    for calls in _calls.values():
        calls.model.finalize()
    _calls.clear()
