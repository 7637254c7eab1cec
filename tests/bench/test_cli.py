import json
import subprocess
import sys
from pathlib import Path

import pytest
from tritone_bench.cli import COMMANDS

from tests.bench.babble_model import write_model

pytestmark = pytest.mark.unit
TRITONE = str(Path(sys.executable).with_name("tritone"))


def tritone(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TRITONE, *words], capture_output=True, text=True, timeout=60, check=False)


def test_the_overview_imports_no_command() -> None:
    done = tritone("bench", "--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    probe = (
        "import argparse, sys; from tritone_bench import cli; cli.configure(argparse.ArgumentParser());"
        "print([n for n in ('torch', 'tritone_backend', 'soundfile', 'tritone_bench.capacity') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["capacity", "load", "roof", "compare", "plan"])
def test_help_has_an_example(name: str) -> None:
    done = tritone("bench", name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"tritone bench {name}" in done.stdout.partition("example:")[2]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["nothing"], "invalid choice"),
        (["plan"], "required"),
        (["load"], "say how many streams"),
        (["compare", "/nowhere", "/nowhere"], "no run at /nowhere"),
        (["capacity", "--streams-please"], "unrecognized arguments"),
        (["roof", "--batches", "0"], "--batches takes numbers"),
    ],
)
def test_wrong_use_is_one_line(words: list[str], text: str) -> None:
    done = tritone("bench", *words)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("tritone: ")
    assert text in line


def test_the_roof_of_an_engine(tmp_path: Path) -> None:
    model = write_model(tmp_path / "babble")
    words = ["--model", str(model), "--engine", "onnxruntime", "--batches", "1,64", "--seconds", "0.3", "--json"]
    done = tritone("bench", "roof", *words)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["batch"] for row in rows] == [1, 64]
    # 64 rows cost this tiny network little more than one: no noise turns that round.
    assert rows[1]["chunks_per_s"] > rows[0]["chunks_per_s"] > 0
    assert rows[0]["p99_ms"] >= rows[0]["p50_ms"] > 0
