"""Targets without a server: what reads options, events, keys, descriptions and audio. Each raises only for a defect."""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tritone_backend.access import Guard
from tritone_backend.access.keyfile import WatchedKeys
from tritone_backend.access.keys import Key, KeysError, digest, format_keys, parse_keys
from tritone_backend.audio import AudioBuffer
from tritone_backend.errors import Code, ModelError, StreamError
from tritone_backend.options import ENCODINGS, StreamOptions
from tritone_backend.spec import AcousticSpec
from tritone_client import AudioFileError, InvalidOption, Options, ProtocolError, TritoneError
from tritone_client._errors import from_status
from tritone_client._events import as_dict, parse_events
from tritone_client._resume import ReplayLog
from tritone_client.audio import open_source

from tests.fuzz.reader import Reader

SCRATCH = Path(tempfile.mkdtemp(prefix="tritone-fuzz-"))
LABELS = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя "
SPEC = AcousticSpec("fuzz", Path("model.onnx"), 8000, 2400, 2400, 0.03, 10, LABELS, 34, 0.33, 4)
MAX_BLOCK_S = 400


def one_line(error: Any) -> None:
    """A user sees one short line without anything that moves a terminal's cursor."""
    message = str(error.user_message)
    assert message, "an empty message"
    assert len(message) < 2000, "a message without end"
    assert not any(ord(character) < 32 or ord(character) == 127 for character in message), f"controls in {message!r}"
    message.encode()  # can be printed and sent


def options(data: bytes) -> None:
    """Request parameters of a START."""
    reader = Reader(data)
    names = (*StreamOptions.__dataclass_fields__, "hotwords", "volume", "\n", "юла", "")
    given = {}
    for _ in range(reader.below(8)):
        name = reader.pick(names)
        given[name] = reader.pick(ENCODINGS) if reader.chance(20) else reader.value()
    try:
        parsed = StreamOptions.parse(given)
    except StreamError as error:
        assert error.code is Code.BAD_OPTION
        one_line(error)
        return
    assert parsed.encoding in ENCODINGS
    AudioBuffer(SPEC, parsed.encoding, parsed.sample_rate)


def server_audio(data: bytes) -> None:
    """Audio bytes of a stream: however they are cut, the same samples come out, in whole chunks."""
    reader = Reader(data)
    encoding, rate = reader.pick(ENCODINGS), reader.pick((8000, 8000, 8000, 8001, 11025, 16000, 44100, 48000))
    whole, pieces = AudioBuffer(SPEC, encoding, rate), AudioBuffer(SPEC, encoding, rate)
    cuts = [reader.below(64) for _ in range(reader.below(16))]
    audio = reader.bytes(1 << 16)
    try:
        whole.feed(audio)
    except StreamError as error:
        assert error.code is Code.BAD_AUDIO
        assert encoding == "pcm_f32le"
        one_line(error)
        whole.feed(b"")  # as before the call
        return
    at = 0
    for cut in cuts:
        pieces.feed(audio[at : at + cut])
        at += cut
    pieces.feed(audio[at:])
    heard = []
    for buffer in (whole, pieces):
        buffer.finish()
        taken = [buffer.take_chunk() for _ in range(buffer.pending_chunks)]
        assert all(chunk.dtype == np.int16 and chunk.shape == (2400,) for chunk in taken)
        heard.append(np.concatenate(taken))
    assert heard[0].shape == heard[1].shape
    assert np.array_equal(*heard), "the cut of requests changed the audio"


def events(data: bytes) -> None:
    """A service's answer, whatever it is, becomes events that can be shown, or a ProtocolError."""
    reader = Reader(data)
    if reader.chance(50):
        payload = data[1:]
    else:
        names = ("type", "text", "start", "end", "confidence", "words", "word")
        items = []
        for _ in range(reader.below(4)):
            item = {name: reader.value() for name in names if reader.chance(70)}
            items.append({"type": reader.pick(("partial", "final")), "text": "а", "start": 0, "end": 1.5, **item})
        payload = json.dumps(items).encode("utf-8", "surrogatepass")
    try:
        found = parse_events(payload)
    except ProtocolError as error:
        one_line(error)
        return
    for event in found:
        assert math.isfinite(event.start)
        assert math.isfinite(event.end)
        json.dumps(as_dict(event), ensure_ascii=False).encode()
    log = ReplayLog(Options())
    log.append(bytes(16000))
    log.accept(found, 16000)
    log.replay()


def server_errors(data: bytes) -> None:
    """An error's text, whoever wrote it, becomes one of our exceptions."""
    reader = Reader(data)
    status = reader.pick(("UNAVAILABLE", "INVALID_ARGUMENT", "INTERNAL", "NOT_FOUND", "DEADLINE_EXCEEDED", "OK", "X"))
    text = reader.text()
    if reader.chance(70):
        code = reader.pick((*[code.value for code in Code], "new-code", ""))
        text += f" [tritone:{code} retry_after_s={reader.pick(('1', 'nan', '-1', 'inf', '1e400', 'x', ''))}]"
    error = from_status(status, text, "host:1")
    assert isinstance(error, TritoneError)
    error.user_message.encode("utf-8", "replace")
    retry = getattr(error, "retry_after_s", 0.0)
    assert 0.0 <= retry < math.inf


def keys_file(data: bytes) -> None:
    """The keys file: read as it was meant, or refused in one line; what is read can be written."""
    try:
        keys = parse_keys(data.decode("utf-8", "replace"))
    except KeysError as error:
        one_line(error)
        return
    assert parse_keys(format_keys(keys)) == keys


def _guard() -> tuple[Guard, str]:
    token = f"trt_fuzz_{'5' * 64}"
    path = SCRATCH / "keys.toml"
    path.write_text(format_keys({"fuzz": Key("fuzz", digest(token), 3)}))
    path.chmod(0o600)
    return Guard("streaming_asr", WatchedKeys(path, lambda line: None), digest("probe")), token


GUARD, TOKEN = _guard()


def guard(data: bytes) -> None:
    """Only the key itself opens; everything else is refused without being repeated."""
    reader = Reader(data)
    value = reader.value()
    if reader.chance(60):
        mutant = bytearray(f"Bearer {TOKEN}".encode())
        for _ in range(reader.below(3)):
            mutant[reader.below(len(mutant))] = reader.byte()
        value = mutant.decode("latin-1") + (reader.text() if reader.chance(20) else "")
    parameters = {"authorization": value, "probe": reader.value(0)}
    try:
        caller = GUARD.check(parameters)
    except StreamError as error:
        assert error.code in (Code.UNAUTHENTICATED, Code.FORBIDDEN)
        one_line(error)
        assert "5" * 9 not in error.user_message
        return
    assert caller.name == "fuzz"
    assert isinstance(value, str)
    assert value.removeprefix("Bearer ").strip() == TOKEN


DESCRIPTION = f"""name = "tiny"
[audio]
sample_rate = 8000
chunk_samples = 2400
padding_samples = 2400
[output]
frame_seconds = 0.03
frames_per_chunk = 10
labels = "{LABELS}"
blank = 34
time_bias_seconds = 0.33
[state]
size = 4
[files]
onnx = "model.onnx"
"""


NEW_VALUES = ("1e999", "nan", "-1", "0", "9" * 30, '""', "[]", "{}", "true", '"../../etc"', '"\\u0000"', '"\\n"')


def description(data: bytes) -> None:
    """model.toml: a spec with sizes that make sense, or one line."""
    reader = Reader(data)
    text = data.decode("utf-8", "replace")
    if reader.chance(80):
        lines = DESCRIPTION.splitlines()
        for _ in range(1 + reader.below(3)):
            number = reader.below(len(lines))
            name = lines[number].partition("=")[0]
            new = reader.pick(NEW_VALUES)
            lines[number] = f"{name}= {new}" if reader.chance(80) else reader.text()
        text = "\n".join(lines)
    folder = SCRATCH / "model"
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").touch()
    (folder / "model.toml").write_bytes(text.encode("utf-8", "replace"))
    try:
        spec = AcousticSpec.load(folder)
    except ModelError as error:
        one_line(error)
        return
    assert 0 < spec.chunk_samples < 2**31
    assert 0 < spec.state_size < 2**31
    assert 0 < spec.chunk_seconds < 3600
    assert spec.padding_samples >= 0
    assert math.isfinite(spec.frame_seconds)
    assert math.isfinite(spec.time_bias_seconds)
    assert spec.name.isprintable()
    buffer = AudioBuffer(spec, "mulaw", 8000) if spec.padding_samples < 10**6 else None
    assert buffer is None or buffer.pending_chunks >= 0


def audio_file(data: bytes) -> None:
    """A file of whatever bytes: audio with a length in proportion to it, or one line."""
    reader = Reader(data)
    suffix = reader.pick((".wav", ".flac", ".ogg", ".mp3", ".aiff", ".au", ".raw", ".ulaw", ""))
    path = SCRATCH / f"audio{suffix}"
    path.write_bytes(reader.bytes(1 << 16))
    try:
        source = open_source(path)
    except (AudioFileError, InvalidOption) as error:
        one_line(error)
        return
    try:
        asyncio.run(_listen(source))
    finally:
        source.close()


async def _listen(source: Any) -> None:
    blocks = 0
    async for block in source.blocks(3000):
        assert block
        blocks += 1
        if blocks > MAX_BLOCK_S // 3:
            break
    for note in [*source.notes, *([source.problem] if source.problem else [])]:
        assert "\n" not in note
