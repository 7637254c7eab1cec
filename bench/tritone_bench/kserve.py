"""Bytes of KServe v2 ModelInfer requests and answers for `streaming_asr`. No sockets, no scheduling.

A protobuf message may be split anywhere between its fields and joined in any order, so a request is three
ready-made pieces: the stream's identity, the flags, and the chunk. Nothing is serialised while load runs.
"""

from __future__ import annotations

from collections.abc import Mapping

METHOD = "/inference.GRPCInferenceService/ModelInfer"
MODEL = "streaming_asr"
ParameterValue = bool | int | str

_MODEL_NAME, _PARAMETERS, _INPUTS, _OUTPUTS, _RAW_INPUT = 1, 4, 5, 6, 7
_ANSWER_OUTPUTS, _RAW_OUTPUT = 5, 6
_CONFIG_PARAMETERS = 14
_FIXED_SIZES = {1: 8, 5: 4}  # wire types that need no length


def varint(value: int) -> bytes:
    """A protobuf varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes_field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def parameter(name: str, value: ParameterValue) -> bytes:
    """One entry of the request's parameter map."""
    if isinstance(value, bool):
        choice = varint(1 << 3) + varint(value)
    elif isinstance(value, int):
        choice = varint(2 << 3) + varint(value)
    else:
        choice = _bytes_field(3, value.encode())
    return _bytes_field(_PARAMETERS, _bytes_field(1, name.encode()) + _bytes_field(2, choice))


START = parameter("sequence_start", True)
END = parameter("sequence_end", True)


def identity(sequence_id: int) -> bytes:
    """The piece that says which stream a request belongs to."""
    return parameter("sequence_id", sequence_id)


def options(values: Mapping[str, ParameterValue]) -> bytes:
    """The piece that carries a stream's options, for its first request."""
    return b"".join(parameter(name, value) for name, value in values.items())


def chunk(audio: bytes) -> bytes:
    """The piece that carries audio: model, input tensor UINT8 [1, len(audio)], and its bytes."""
    shape = varint(1) + varint(len(audio))
    tensor = _bytes_field(1, b"audio") + _bytes_field(2, b"UINT8") + _bytes_field(3, shape)
    return _bytes_field(_MODEL_NAME, MODEL.encode()) + _bytes_field(_INPUTS, tensor) + _bytes_field(_RAW_INPUT, audio)


def outputs(*names: str) -> bytes:
    """The piece that names the outputs wanted; without it all of them come."""
    return b"".join(_bytes_field(_OUTPUTS, _bytes_field(1, name.encode())) for name in names)


EVENTS_ONLY = outputs("events")
EVENTS_AND_TIMING = outputs("events", "timing")


def named_outputs(answer: bytes) -> dict[str, bytes]:
    """The raw bytes of an answer's outputs, by name.

    Raises:
        ValueError: this is no ModelInferResponse.
    """
    names, raw = [], []
    for number, value in fields(answer):
        if number == _ANSWER_OUTPUTS:
            names.append(next((text.decode() for field, text in fields(value) if field == 1), ""))
        elif number == _RAW_OUTPUT:
            raw.append(value)
    if len(names) != len(raw):
        raise ValueError(f"{len(names)} outputs are described and {len(raw)} sent")
    return dict(zip(names, raw, strict=True))


def fields(message: bytes) -> list[tuple[int, bytes]]:
    """The length-delimited fields of a protobuf message, in order; numbers are skipped.

    Raises:
        ValueError: the bytes are no protobuf message.
    """
    found = []
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        if tag & 7 == 0:
            _, at = _read_varint(message, at)
        elif tag & 7 in _FIXED_SIZES:
            at += _FIXED_SIZES[tag & 7]
        elif tag & 7 == 2:
            length, at = _read_varint(message, at)
            if length > len(message) - at:
                raise ValueError("the message is cut off")
            found.append((tag >> 3, message[at : at + length]))
            at += length
        else:
            raise ValueError(f"field {tag >> 3} has an unexpected wire type")
    return found


def named(model: str) -> bytes:
    """A request that only names a model: ModelReady and ModelConfig."""
    return _bytes_field(1, model.encode())


def config_parameters(answer: bytes) -> dict[str, str]:
    """The string parameters of the model's configuration in a ModelConfigResponse.

    Raises:
        ValueError: this is no protobuf message.
    """
    found: dict[str, str] = {}
    for _, config in fields(answer):
        for number, entry in fields(config):
            if number == _CONFIG_PARAMETERS:
                parts = dict(fields(entry))
                found[parts[1].decode()] = dict(fields(parts[2])).get(1, b"").decode()
    return found


def ending(events: bytes) -> bytes:
    """How an answer with exactly these events, and no other output, ends on the wire."""
    return _bytes_field(_RAW_OUTPUT, events)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("the message is cut off")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
