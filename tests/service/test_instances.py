"""Several model processes behind one address: shares of the slots add up, words do not depend on the arrangement."""

import time
import urllib.request

import pytest
from tritonclient.utils import InferenceServerException
from tritone_backend.serve import running_server
from tritone_client import Client, Final

from tests.service.raw import Raw, new_id

pytestmark = pytest.mark.triton

STREAMS = 9
INSTANCES = 3


def gauges(server) -> dict[str, float]:
    """The gauges and counters of streaming_asr."""
    with urllib.request.urlopen(server.settings.metrics_url, timeout=5) as page:
        lines = [line for line in page.read().decode().splitlines() if 'model="streaming_asr"}' in line]
    return {line.partition("{")[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


def settled(server, name: str, value: float) -> dict[str, float]:
    """The metrics once one of them has a value; they are published twice a second."""
    deadline = time.monotonic() + 10.0
    while (found := gauges(server))[name] != value and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


async def words(address: str, samples) -> list[str]:
    async with Client(address) as client:
        audio = iter([samples.tobytes()])
        return [event.text async for event in client.transcribe(audio) if isinstance(event, Final)]


@pytest.mark.parametrize("engine_process", ["own", "shared"])
async def test_slots_of_all_instances_add_up_and_words_are_the_same(engine_process, server, recordings):
    name = "asterisk-ru-agent-alreadyon"
    with running_server(
        max_streams=STREAMS - 1,  # shares are rounded up
        instances=INSTANCES,
        engine_process=engine_process,
        threads=1,
        admission="slots",
    ) as several:
        assert await words(several.address, recordings[name]) == await words(server.address, recordings[name])
        settled(several, "tritone_streams_slots", STREAMS)  # each instance adds its own when it first publishes
        empty = settled(several, "tritone_streams_free", STREAMS)  # and the call just made has to be over everywhere
        assert (empty["tritone_streams_slots"], empty["tritone_streams_free"]) == (STREAMS, STREAMS)
        async with Raw(several.address) as raw:
            streams = [new_id() for _ in range(STREAMS)]
            for stream in streams:
                await raw.audio(stream, b"", start=True)
            with pytest.raises(InferenceServerException, match=r"\[tritone:full"):
                await raw.audio(new_id(), b"", start=True)
            full = settled(several, "tritone_streams_live", STREAMS)
            assert (full["tritone_streams_live"], full["tritone_streams_free"]) == (STREAMS, 0)
            for stream in streams:
                await raw.audio(stream, b"", end=True)
        after = settled(several, "tritone_streams_live", 0)
        assert (after["tritone_streams_live"], after["tritone_streams_free"]) == (0, STREAMS)
        assert after["tritone_admitted_total"] == STREAMS + 1
