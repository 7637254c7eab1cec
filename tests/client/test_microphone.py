"""`tritone listen` with a pretended sound card in place of PortAudio."""

from __future__ import annotations

import signal
import sys
import threading
import time
import types
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tritone_client.cli.main import main

from tests.client.fake_server import serve_from_thread
from tests.client.fake_service import FakeService, speech

pytestmark = pytest.mark.unit


class PortAudioError(Exception):
    pass


class Card:
    """A sound card at 16 kHz that hears one word, 20 ms at a time, and then silence until it is closed."""

    def __init__(self) -> None:
        self.rates: list[int] = []
        self.closed = threading.Event()

    def query_devices(self, device: object = None, kind: str | None = None) -> Any:
        found = {"name": "Pretended", "default_samplerate": 16000.0, "max_input_channels": 1}
        if kind is None:
            return [found, {"name": "Speaker", "default_samplerate": 48000.0, "max_input_channels": 0}]
        if device not in (None, 0):
            raise ValueError(device)
        return found

    def raw_input_stream(self, *, samplerate: int, blocksize: int, callback: Callable[..., None], **rest: Any) -> Any:
        if samplerate > 16000:
            raise PortAudioError("Invalid sample rate")
        self.rates.append(samplerate)
        heard = speech((7, 1.0), (0, 2.0), rate=samplerate, width=2)

        def play() -> None:
            for first in range(0, len(heard), 2 * blocksize):
                callback(heard[first : first + 2 * blocksize], blocksize, None, None)
            while not self.closed.wait(0.02):
                callback(bytes(2 * blocksize), blocksize, None, None)

        card = self

        class Stream:
            def __enter__(self) -> None:
                self.thread = threading.Thread(target=play)
                self.thread.start()

            def __exit__(self, *exc: object) -> None:
                card.closed.set()
                self.thread.join()

        return Stream()


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    card = Card()
    module = types.SimpleNamespace(
        query_devices=card.query_devices, RawInputStream=card.raw_input_stream, PortAudioError=PortAudioError
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return card


def test_listen(card: Card, service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    def stop_when_heard() -> None:
        while sum(len(request.audio) for request in service.requests) < 2 * 16000 * 3:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    with serve_from_thread(service) as address:
        thread = threading.Thread(target=stop_when_heard)
        thread.start()
        assert main(["listen", "--server", address]) == 0
        thread.join()
    printed = capsys.readouterr()
    assert printed.out == "7\n"
    assert printed.err.startswith("listening to Pretended at 16000 Hz; Ctrl-C ends\n")
    assert service.requests[0].parameters["sample_rate"] == 16000
    sizes = Counter(len(request.audio) for request in service.requests[1:-1])
    assert sizes.most_common(1)[0][0] == 3200, "100 ms at a time"
    assert all(size % 3200 == 0 for size in sizes), "a busy machine sends what has gathered meanwhile"
    assert card.closed.is_set()
    assert not service.streams


def test_devices(card: Card, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", "--list-devices"]) == 0
    assert capsys.readouterr().out == "  0  Pretended  (16000 Hz)\n"


def test_no_such_device(card: Card, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", "--device", "banjo"]) == 1
    assert capsys.readouterr().err.startswith("tritone: a microphone 'banjo' was not found; 'tritone listen --list")


def test_a_rate_the_card_cannot(card: Card, service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    with serve_from_thread(service) as address:
        assert main(["listen", "--sample-rate", "44100", "--server", address, "--quiet"]) == 1
    assert capsys.readouterr().err == (
        "tritone: Pretended cannot record at 44100 Hz (Invalid sample rate); try another --sample-rate\n"
    )
    assert not service.streams


def test_no_portaudio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def find_spec(self, name: str, *rest: Any) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    assert main(["listen"]) == 1
    assert capsys.readouterr().err.startswith("tritone: PortAudio is missing; install it")
