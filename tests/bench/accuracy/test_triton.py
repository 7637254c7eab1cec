"""`tritone bench accuracy` with a real tritonserver, the model that ships and real recordings."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tritone_backend.models.registry import find_model
from tritone_backend.serve import running_server
from tritone_client import Client, Final

pytestmark = [pytest.mark.triton]
TRITONE = str(Path(sys.executable).with_name("tritone"))
AUDIO = Path(__file__).parents[2] / "audio"
SAID = {
    "asterisk-ru-check-number-dial-again": "Пожалуйста, проверьте номер и наберите ещё раз.",
    "asterisk-ru-conf-invalid": "Недействительный номер конференции. Попробуйте ещё раз!",
    "asterisk-ru-conf-leaderhasleft": "Руководитель покинул конференцию",
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server(find_model("default"), max_streams=8) as running:
        yield running.address


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name, text in SAID.items():
        (folder / f"{name}.wav").symlink_to(AUDIO / f"{name}.wav")
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def accuracy(*words: str, out: Path) -> subprocess.CompletedProcess[str]:
    command = [TRITONE, "bench", "accuracy", *words, "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def results(out: Path) -> dict[str, Any]:
    (folder,) = out.iterdir()
    assert folder.name.endswith("-accuracy")
    assert {path.name for path in folder.iterdir()} >= {"results.json", "clips.jsonl.gz", "report.md", "report.html"}
    found: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return found


async def alone(server: str, path: Path) -> str:
    """What the service says to a recording, asked without the bench."""
    with wave.open(str(path)) as audio:
        raw = audio.readframes(audio.getnframes())
    async with Client(server) as client:
        return " ".join([e.text async for e in client.transcribe([raw]) if isinstance(e, Final)])


async def test_transcripts_that_are_the_service_s_own_words_have_no_error(
    server: str, recordings: Path, tmp_path: Path
) -> None:
    words = 0
    for name in SAID:
        heard = await alone(server, recordings / f"{name}.wav")
        words += len(heard.split())
        (recordings / f"{name}.txt").write_text(heard.upper() + ".", encoding="utf-8")
    assert words > 5, "the model that ships hears something in these recordings"
    done = accuracy("--folder", str(recordings), "--server", server, "--paced", "2", out=tmp_path / "out")
    assert done.returncode == 0, done.stderr
    record = results(tmp_path / "out")
    (score,) = record["scores"]
    assert (score["system"], score["clips"], score["words"]) == ("service", 3, words)
    assert (score["wer"]["percent"], score["wer_yo"]["percent"], score["cer"]["percent"]) == (0.0, 0.0, 0.0)
    assert score["clips_without_error"] == 3
    # Every word is right, so the calibration error is what the confidences lack to 1.
    sure = score["calibration"]
    assert sure["right"] == 1.0
    assert sure["error"] == pytest.approx(100.0 * (1.0 - sure["confidence"]), abs=0.1)


def test_a_service_of_its_own(recordings: Path, tmp_path: Path) -> None:
    """One wrong transcript is found and counted; delays and cost are plausible; no path of the machine is published."""
    (recordings / "asterisk-ru-conf-invalid.txt").write_text("совсем другие слова " * 5, encoding="utf-8")
    done = accuracy("--folder", str(recordings), "--decoders", "greedy", "--paced", "3", out=tmp_path / "out")
    assert done.returncode == 0, done.stderr
    record = results(tmp_path / "out")
    (score,) = record["scores"]
    assert (score["system"], score["clips"], score["words"]) == ("greedy", 3, 7 + 15 + 3)
    assert score["substitutions"] + score["deletions"] >= 15  # no word of that transcript is said
    assert score["wer"]["low"] <= score["wer"]["percent"] <= score["wer"]["high"]
    assert "conf-invalid" in score["examples"][0]["file"]
    (system,) = record["systems"]
    delays = system["delays"]
    assert delays["words"] >= 6
    # 300 ms chunks and 300 ms of look-ahead: no word can be seen at once; a phrase needs its silence of 600 ms.
    assert 100 < delays["seen_p50_ms"] < 3000
    assert delays["closed_p50_ms"] > 600
    assert delays["seen_p50_ms"] <= delays["right_p50_ms"] <= delays["final_p50_ms"]
    assert system["cpu_s"] > 0.05
    assert system["mib"] > 1.0
    assert "ready" in record["settings"]["service"]
    assert str(tmp_path) not in json.dumps(record)
    for path in next((tmp_path / "out").iterdir()).glob("report.*"):
        assert str(tmp_path) not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--data", "/nowhere"], "no set synthetic_dev in /nowhere: make it with `python -m tritone_acoustic.data`"),
        (["--folder", "/nowhere"], "/nowhere is neither a folder nor a manifest"),
        (["--sets", "radio"], "no set 'radio'; there are synthetic"),
        (["--decoders", "oracle"], "no decoder 'oracle'; there are greedy, beam, beam+lm"),
        (["--server", "127.0.0.1:1", "--decoders", "beam"], "leave out --server"),
        (["--streams", "0"], "--streams and --paced-streams must be 1 to 1024"),
    ],
)
def test_wrong_wishes_are_one_line(words: list[str], problem: str, tmp_path: Path) -> None:
    done = accuracy(*words, out=tmp_path / "out")
    assert done.returncode == 2
    assert problem in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "status", "problem"),
    [
        (["--server", "127.0.0.1:1"], 1, "no service at 127.0.0.1:1: start one with 'tritone serve'"),
        (["--model", "gone"], 2, "no model 'gone'"),
    ],
)
def test_no_service(recordings: Path, tmp_path: Path, words: list[str], status: int, problem: str) -> None:
    done = accuracy("--folder", str(recordings), *words, out=tmp_path / "out")
    assert done.returncode == status
    assert problem in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("out/*"))
