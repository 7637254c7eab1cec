"""The images: linted, in step with pyproject.toml, and the cpu image's own install steps run outside Docker."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tritone_backend.serve.ports import free_ports

from tests.deploy.dockerfile import ROOT, Stage, stages

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

IMAGES = ("cpu", "gpu")
# What a virtual environment has no use for; every other RUN is carried out.
ONLY_IN_AN_IMAGE = ("useradd ",)


@pytest.mark.unit
def test_hadolint_finds_nothing():
    program = Path(sys.executable).parent / "hadolint"
    if not program.exists():
        pytest.skip("hadolint is not installed (pip install 'tritone[dev]')")
    ran = subprocess.run([program, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.unit
@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_without_root_and_reports_its_health(image):
    stage = stages()[image]
    assert int(stage.all("USER")[-1]) >= 1000
    assert stage.command("HEALTHCHECK")[:3] == ["python", "-m", "tritone_backend.serve.healthcheck"]
    assert stage.command("ENTRYPOINT") == ["tritone"]
    assert stage.command("CMD")[:3] == ["serve", "--host", "0.0.0.0"]
    assert stage.all("EXPOSE") == ["8001 8002"]


@pytest.mark.unit
def test_bases_are_pinned_to_a_version():
    for stage in stages().values():
        assert re.search(r":\d+\.\d+-[\w.-]+$", stage.base), stage.base
    assert stages()["gpu"].base.startswith("nvcr.io/nvidia/tritonserver:")


@pytest.mark.unit
@pytest.mark.parametrize("image", IMAGES)
def test_the_extras_that_an_image_installs_exist(image):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (install,) = [run for run in stages()[image].all("RUN") if "pip install" in run]
    named = re.search(r"\)\[([\w,]+)\]", install)
    assert named is not None
    assert set(named.group(1).split(",")) <= set(extras)


@pytest.mark.unit
def test_everything_copied_exists_and_passes_the_ignore_file():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for stage in stages().values()
        for copy in stage.all("COPY")
        if not copy.startswith("--from")
        for source in copy.split()[:-1]
    }
    assert copied == allowed
    assert [name for name in sorted(copied) if not (ROOT / name).exists()] == []


class Workshop:
    """Carries out a stage's steps in folders of its own instead of an image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            key: value for key, value in os.environ.items() if key.startswith(("PIP_", "LANG", "HOME", "SSL_"))
        }
        base = folder / "python"
        subprocess.run([sys.executable, "-m", "venv", base], check=True, timeout=120)
        self.environment["PATH"] = f"{base / 'bin'}:/usr/bin:/bin"

    def place(self, stage: Stage, path: str) -> Path:
        """Where a path inside a stage lies outside; relative ones start at the stage's WORKDIR."""
        return self.folder / stage.name / str(Path("/build") / path).lstrip("/")

    def translate(self, stage: Stage, text: str) -> str:
        """Rewrites absolute paths of the image; a path that no rule knows must not slip through."""
        return text.replace("/opt/tritone", str(self.place(stage, "/opt/tritone")))

    def carry_out(self, all_stages: dict[str, Stage], name: str) -> None:
        stage = all_stages[name]
        directory = self.place(stage, "/build")
        directory.mkdir(parents=True)
        for word, rest in stage.steps:
            if word == "ENV":
                for setting in shlex.split(rest):
                    key, _, value = setting.partition("=")
                    value = self.translate(stage, value).replace("$PATH", self.environment["PATH"])
                    self.environment[key] = value
            elif word == "COPY":
                self.copy(all_stages, stage, rest.split())
            elif word == "RUN" and not rest.startswith(ONLY_IN_AN_IMAGE):
                self.run(["bash", "-euc", self.translate(stage, rest)], directory, 600)

    def copy(self, all_stages: dict[str, Stage], stage: Stage, words: list[str]) -> None:
        origin = all_stages[words.pop(0).removeprefix("--from=")] if words[0].startswith("--from=") else None
        *sources, target = words
        for source in sources:
            found = self.place(origin, source) if origin else ROOT / source
            end = self.place(stage, target)
            if found.is_dir():
                shutil.copytree(found, end, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                shutil.copy(found, end / found.name if target.endswith("/") else end)

    def run(self, command: list[str], directory: Path, seconds: float) -> str:
        ran = subprocess.run(
            command, cwd=directory, env=self.environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
        return ran.stdout


@pytest.mark.slow
@pytest.mark.triton
@pytest.mark.timeout(1500)
def test_the_cpu_image_installs_serves_and_is_healthy(tmp_path):
    parsed = stages()
    workshop = Workshop(tmp_path)
    for name in ("wheel", "cpu"):
        workshop.carry_out(parsed, name)
    image = parsed["cpu"]
    installed = workshop.place(image, "/opt/tritone")
    home = tmp_path / "home"
    home.mkdir()
    workshop.environment["HOME"] = str(home)

    findings = json.loads(workshop.run([str(installed / "bin" / "tritone"), "doctor", "--json"], home, 60))
    assert findings["can_serve"]
    assert not list(installed.glob("lib/python*/site-packages/_tritone.pth")), "installed editable, not as a wheel"

    grpc_port, metrics_port = free_ports(2)
    entry = [*image.command("ENTRYPOINT"), *image.command("CMD")]
    ports = ["--grpc-port", str(grpc_port), "--metrics-port", str(metrics_port)]
    program = shutil.which(entry[0], path=workshop.environment["PATH"])
    assert program is not None
    assert fnmatch.fnmatch(program, f"{installed}/*")
    with subprocess.Popen(
        [program, *entry[1:], *ports], cwd=home, env=workshop.environment, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline().startswith(f"tritone: ready on grpc://0.0.0.0:{grpc_port} ")
            health = [word.replace("8001", str(grpc_port)) for word in image.command("HEALTHCHECK")]
            health[0] = str(installed / "bin" / health[0])
            assert "answered in" in workshop.run(health, home, 30)
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(40) == 0
