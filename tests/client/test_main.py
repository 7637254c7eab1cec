"""The command line as a whole: its table, its help, its refusals."""

from __future__ import annotations

import importlib
import subprocess
import sys
import types
from pathlib import Path

import pytest
from tritone_client import AudioFileError, ConnectionFailed, InvalidOption
from tritone_client.cli import main as cli
from tritone_client.cli._formats import timestamp
from tritone_client.cli._terminal import bar, clock, fitted
from tritone_client.cli.main import COMMANDS, EXTRAS, explain, main

pytestmark = pytest.mark.unit


def test_overview(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)
    assert "example:" in text
    assert len(text.splitlines()) <= 24
    assert max(map(len, text.splitlines())) < 80
    assert main([]) == 2
    assert capsys.readouterr().err == text


@pytest.mark.parametrize("command", ["transcribe", "listen"])
def test_help_fits_a_screen(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "example:" in text
    assert len(text.splitlines()) <= 30
    assert "None" not in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    name, number = capsys.readouterr().out.split()
    assert name == "tritone"
    assert number[0].isdigit()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trancribe"], "tritone: no command 'trancribe'; there are serve, transcribe,"),
        (["transcribe"], "tritone: the following arguments are required: FILE; see 'tritone transcribe --help'"),
        (["transcribe", "a.wav", "--format", "doc"], "tritone: argument --format: invalid choice: 'doc'"),
        (["transcribe", "a.wav", "--server", "http://here"], "tritone: 'http://here' is no address of a service"),
        (["transcribe", "a.wav", "--wait", "-1"], "tritone: timeouts are seconds"),
        (["listen", "--sample-rate", "x"], "tritone: argument --sample-rate: invalid int value: 'x'"),
    ],
)
def test_wrong_use_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)


def test_a_missing_package_names_its_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert main(["listen"]) == 2
    assert capsys.readouterr().err == (
        "tritone: this command needs the Python package 'sounddevice': pip install 'tritone[microphone]'\n"
    )
    assert explain(ModuleNotFoundError("", name="torch.nn"))[0].endswith("pip install 'tritone[torch]'")
    assert "lacks its module tritone_bench.x" in explain(ModuleNotFoundError("", name="tritone_bench.x"))[0]
    assert "'surprise' is not installed" in explain(ModuleNotFoundError("", name="surprise"))[0]


def test_extras_are_those_of_the_distribution() -> None:
    text = (Path(cli.__file__).parents[3] / "pyproject.toml").read_text()
    for package, extra in EXTRAS.items():
        assert f"\n{extra} = [" in text
        assert package.replace("_", "-") in text


def test_errors_explained() -> None:
    assert explain(ConnectionFailed("no\nanswer")) == ("no answer", 1)
    assert explain(InvalidOption("bad")) == ("bad", 2)
    assert explain(AudioFileError("gone")) == ("gone", 1)
    message, status = explain(ZeroDivisionError("division by zero"))
    assert (message, status) == ("unexpected ZeroDivisionError: division by zero; --debug shows where", 1)


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt(), 130), (ValueError("oh"), 1)])
def test_debug_shows_the_traceback(
    error: BaseException, status: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(args: object) -> int:
        raise error

    command = types.SimpleNamespace(configure=lambda parser: None, run=run)
    monkeypatch.setattr(importlib, "import_module", lambda name: command)
    assert main(["listen"]) == status
    assert "Traceback" not in capfd.readouterr().err
    assert main(["listen", "--debug"]) == status
    assert ("Traceback" in capfd.readouterr().err) == isinstance(error, ValueError)


def test_a_reader_that_leaves() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tritone_client.cli.main", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(10) == 141


def test_help_needs_neither_grpc_nor_numpy() -> None:
    code = (
        "import sys; from tritone_client.cli.main import main; main(['--help']); main(['transcribe', '--help']);"
        "print([name for name in ('grpc', 'numpy', 'soundfile', 'tritone_backend') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_small_renderings() -> None:
    assert timestamp(3723.4567, ",") == "01:02:03,457"
    assert timestamp(59.9996, ".") == "00:01:00.000"
    assert clock(65.9) == "1:05"
    assert bar(0.5, 4) == "[##..]"
    assert bar(7, 4) == "[####]"
    assert fitted("abcdef", 4) == "…def"
    assert fitted("abcd", 4) == "abcd"
    assert fitted("abcd", 0) == ""
