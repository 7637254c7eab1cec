import pytest
from tritonclient.grpc import model_config_pb2, service_pb2
from tritone_bench import kserve

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("sequence_id", [1, 127, 128, 2**32, 2**63 - 1])
@pytest.mark.parametrize("size", [0, 1, 4800, 300_000])
def test_a_request_is_what_protobuf_would_have_made(sequence_id: int, size: int) -> None:
    audio = bytes(range(256)) * (size // 256 + 1)
    pieces = (
        kserve.chunk(audio[:size]),
        kserve.identity(sequence_id),
        kserve.START,
        kserve.options({"encoding": "mulaw", "sample_rate": 8000, "words": True, "interim_results": False}),
        kserve.END,
        kserve.EVENTS_AND_TIMING,
    )
    message = service_pb2.ModelInferRequest.FromString(b"".join(pieces))
    values = {name: getattr(v, v.WhichOneof("parameter_choice")) for name, v in message.parameters.items()}
    assert values == {
        "sequence_id": sequence_id,
        "sequence_start": True,
        "sequence_end": True,
        "encoding": "mulaw",
        "sample_rate": 8000,
        "words": True,
        "interim_results": False,
    }
    assert message.model_name == "streaming_asr"
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in message.inputs] == [
        ("audio", "UINT8", [1, size])
    ]
    assert list(message.raw_input_contents) == [audio[:size]]
    assert [output.name for output in message.outputs] == ["events", "timing"]


def test_the_order_of_pieces_is_free() -> None:
    pieces = [kserve.chunk(b"abc"), kserve.identity(7), kserve.END, kserve.EVENTS_ONLY]
    forward = service_pb2.ModelInferRequest.FromString(b"".join(pieces))
    assert service_pb2.ModelInferRequest.FromString(b"".join(reversed(pieces))) == forward


def answer(**outputs: bytes) -> bytes:
    message = service_pb2.ModelInferResponse(model_name="streaming_asr", model_version="1", id="x")
    message.parameters["sequence_id"].int64_param = 5
    for name, payload in outputs.items():
        message.outputs.add(name=name, datatype="UINT8", shape=[1, len(payload)])
        message.raw_output_contents.append(payload)
    found: bytes = message.SerializeToString()
    return found


def test_outputs_are_read_by_name() -> None:
    assert kserve.named_outputs(answer(timing=b"1234", events=b"[]")) == {"timing": b"1234", "events": b"[]"}
    assert kserve.named_outputs(answer()) == {}


def test_an_answer_ends_with_its_events() -> None:
    assert answer(events=b"[]").endswith(kserve.ending(b"[]"))
    assert not answer(events=b"[1]").endswith(kserve.ending(b"[]"))
    assert not answer(events=b" []").endswith(kserve.ending(b"[]"))


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_cut_answer_is_an_error_or_lacks_the_output(cut: int) -> None:
    whole = answer(events=b"x" * 40)
    with pytest.raises(ValueError, match=r"cut|outputs"):
        kserve.named_outputs(whole[:-cut] + (b"" if cut < 40 else b"\xff"))


def test_parameters_of_a_configuration() -> None:
    config = model_config_pb2.ModelConfig(name="streaming_asr", backend="python", max_batch_size=8)
    config.parameters["timing_names"].string_value = "a,b"
    config.parameters["empty"].string_value = ""
    message = service_pb2.ModelConfigResponse(config=config)
    assert kserve.config_parameters(message.SerializeToString()) == {"timing_names": "a,b", "empty": ""}
