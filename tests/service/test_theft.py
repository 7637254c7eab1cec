"""What somebody with a valid key can do with the stream id or the name of another: nothing."""

from __future__ import annotations

import pytest
from tritonclient.utils import InferenceServerException
from tritone_client import Final

from tests.service.guarded import words
from tests.service.raw import new_id

pytestmark = [pytest.mark.triton, pytest.mark.timeout(120)]


async def test_a_stream_id_is_worth_nothing_with_another_key(site, speech):
    """Somebody who learnt the id can neither read, speak nor end the stream through the model."""
    async with site.raw("plain") as owner, site.raw("second") as thief, site.raw() as nobody:
        expected = await owner.audio(new_id(), speech, start=True, end=True)
        stream = new_id()
        half = len(speech) // 2 // 2 * 2
        heard = await owner.audio(stream, speech[:half], start=True)
        for other, match in ((thief, "unknown-stream"), (nobody, "unauthenticated")):
            for _ in range(3):
                with pytest.raises(InferenceServerException, match=match):
                    await other.audio(stream, bytes(4800))
            with pytest.raises(InferenceServerException, match=r"duplicate-start|unauthenticated"):
                await other.audio(stream, bytes(4800), start=True)
        heard += await owner.audio(stream, speech[half:], end=True)
        assert [e for e in heard if e["type"] == "final"] == [e for e in expected if e["type"] == "final"]


async def test_an_end_forged_by_somebody_who_learnt_the_id_costs_the_call_nothing(site, speech):
    """Triton forgets the sequence though the model refuses the END; the client resumes."""
    async with site.client() as client, site.raw("second") as thief:
        expected = await words(client, speech)
        heard = []
        async with client.stream() as stream:
            for number, begin in enumerate(range(0, len(speech), 4800)):
                if number == 4:
                    with pytest.raises(InferenceServerException, match="unknown-stream"):
                        await thief.audio(stream._sequence_id, end=True)
                heard += await stream.send(speech[begin : begin + 4800])
            heard += await stream.finish()
            assert stream.resumed == 1
        assert [event.text for event in heard if isinstance(event, Final)] == expected


async def test_a_forged_parameter_does_not_stand_in_for_the_metadata(site):
    token = f"Bearer {site.tokens['plain']}"
    async with site.raw("acoustic") as acoustic, site.raw() as nobody:
        with pytest.raises(InferenceServerException, match="tritone:forbidden"):
            await acoustic.audio(new_id(), start=True, authorization=token)
        # Without metadata the parameter is as good: whoever has the key has the key.
        assert await nobody.audio(new_id(), start=True, end=True, authorization=token) == []
