"""The check of every request: who passes, who does not, and that neither errors nor logs repeat a key."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from tritone_backend.access import Caller, Guard
from tritone_backend.access.guard import KEYS_VARIABLE, PROBE_VARIABLE
from tritone_backend.access.keyfile import WatchedKeys, edit_keys
from tritone_backend.access.keys import Key, KeysError, digest, new_token
from tritone_backend.errors import Code, StreamError

pytestmark = pytest.mark.unit
NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
ASR, ACOUSTIC = "streaming_asr", "streaming_acoustic"


class Desk:
    """A keys file with some keys, and guards over it."""

    def __init__(self, path):
        self.path = path
        self.said: list[str] = []
        self.tokens = {name: new_token(name) for name in ("plain", "old", "young", "both", "gone")}
        with edit_keys(path) as keys:
            for name, limit, models, expires in (
                ("plain", 3, (ASR,), None),
                ("old", 3, (ASR,), NOW),
                ("young", 3, (ASR,), NOW + timedelta(seconds=1)),
                ("both", 5, (ASR, ACOUSTIC), None),
            ):
                keys[name] = Key(name, digest(self.tokens[name]), limit, models, expires)

    def guard(self, model=ASR):
        return Guard(model, WatchedKeys(self.path, self.said.append), digest("probe-secret"), lambda: NOW)


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "keys.toml")


def refusal(guard, value, **parameters):
    with pytest.raises(StreamError) as caught:
        guard.check({"authorization": value, **parameters} if value is not None else parameters)
    message = caught.value.user_message
    assert "\n" not in message
    assert message.endswith(f"[tritone:{caught.value.code.value}]")
    if isinstance(value, str) and len(value) > 20:
        assert value[-20:] not in message
    return caught.value.code


def test_a_valid_key_passes_and_is_taken_out_of_the_options(desk):
    parameters = {"authorization": f"Bearer {desk.tokens['plain']}", "encoding": "mulaw"}
    assert desk.guard().check(parameters) == Caller("plain", 3)
    assert parameters == {"encoding": "mulaw"}
    assert desk.guard(ACOUSTIC).check({"authorization": f"Bearer {desk.tokens['both']}"}) == Caller("both", 5)


@pytest.mark.parametrize(("instances", "share"), [(1, 5), (2, 3), (5, 1), (8, 1)])
def test_each_process_allows_a_key_its_share(desk, instances, share):
    guard = Guard(ASR, WatchedKeys(desk.path, desk.said.append), now=lambda: NOW, instances=instances)
    assert guard.check({"authorization": f"Bearer {desk.tokens['both']}"}) == Caller("both", share)


@pytest.mark.parametrize(
    "value",
    [None, "", 7, True, "Bearer", "Bearer ", "Basic x", "bearer x", "Bearer trt_plain_", "Bearer \ud800", "\0"],
)
def test_what_is_no_key_is_unauthenticated(desk, value):
    assert refusal(desk.guard(), value) is Code.UNAUTHENTICATED


def test_wrong_keys_are_unauthenticated_all_alike(desk):
    right = desk.tokens["plain"]
    wrong = [
        right[:-1] + ("0" if right[-1] != "0" else "1"),
        right.replace("plain", "both"),
        right.upper(),
        desk.tokens["gone"],
        digest(right),
        f"{right}{right}",
    ]
    messages = set()
    for token in wrong:
        assert refusal(desk.guard(), f"Bearer {token}") is Code.UNAUTHENTICATED
        with pytest.raises(StreamError) as caught:
            desk.guard().check({"authorization": f"Bearer {token}"})
        messages.add(caught.value.user_message)
    assert len(messages) == 1  # nothing to learn from


def test_keys_expire_to_the_second(desk):
    assert refusal(desk.guard(), f"Bearer {desk.tokens['old']}") is Code.UNAUTHENTICATED
    desk.guard().check({"authorization": f"Bearer {desk.tokens['young']}"})


def test_a_key_opens_only_its_models(desk):
    assert refusal(desk.guard(ACOUSTIC), f"Bearer {desk.tokens['plain']}") is Code.FORBIDDEN


def test_the_health_checks_secret_is_good_for_probes_alone(desk):
    secret = "Bearer probe-secret"
    assert desk.guard().check({"authorization": secret, "probe": True}).name == "health-check"
    for parameters in ({}, {"probe": False}, {"probe": 1}, {"probe": "true"}):
        assert refusal(desk.guard(), secret, **parameters) is Code.FORBIDDEN
    without = Guard(ASR, WatchedKeys(desk.path, desk.said.append), "", lambda: NOW)
    assert refusal(without, secret, probe=True) is Code.UNAUTHENTICATED


def test_a_revoked_key_is_refused_in_mid_call(desk, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("tritone_backend.access.guard.monotonic", lambda: clock[0])
    guard = desk.guard()
    value = f"Bearer {desk.tokens['plain']}"
    guard.check({"authorization": value})
    with edit_keys(desk.path) as keys:
        del keys["plain"]
    clock[0] = 1.0
    assert refusal(guard, value) is Code.UNAUTHENTICATED
    assert desk.said == []


def test_a_service_has_a_guard_only_when_serve_names_a_keys_file(desk, monkeypatch):
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    assert Guard.from_environment(ASR, desk.said.append) is None
    monkeypatch.setenv(KEYS_VARIABLE, str(desk.path))
    monkeypatch.setenv(PROBE_VARIABLE, digest("p"))
    guard = Guard.from_environment(ASR, desk.said.append)
    assert guard is not None
    assert guard.check({"authorization": "Bearer p", "probe": True}).name == "health-check"
    monkeypatch.setenv(KEYS_VARIABLE, str(desk.path) + "x")
    with pytest.raises(KeysError):  # no file, no service: never an open one
        Guard.from_environment(ASR, desk.said.append)
