"""`make audit` finds what it is there for, and never calls a silence a pass."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tritone_backend.access.keys import new_token

from scripts import audit

pytestmark = pytest.mark.unit


def answer(monkeypatch, *packages, stderr=""):
    """Let pip-audit's command answer with these packages; with none, with an error."""
    shown = json.dumps({"dependencies": list(packages)}) if packages else ""

    def run(command, **options):
        return subprocess.CompletedProcess(command, 1, shown, stderr)

    monkeypatch.setattr(audit.subprocess, "run", run)


def test_flaws_are_found_and_named(monkeypatch, capsys):
    flaw = {"id": "CVE-2020-1", "fix_versions": ["1.1"]}
    answer(monkeypatch, {"name": "a", "version": "1.0", "vulns": [flaw]}, {"name": "b", "skip_reason": "not on PyPI"})
    assert audit.audit_dependencies() == audit.FOUND
    shown = capsys.readouterr().out
    assert "a 1.0: CVE-2020-1, mended in 1.1" in shown
    assert "not audited: b (not on PyPI)" in shown
    assert "1 of 2 packages audited, 1 with known flaws" in shown


def test_no_flaws_is_clean(monkeypatch):
    answer(monkeypatch, {"name": "a", "version": "1.0", "vulns": []})
    assert audit.audit_dependencies() == audit.CLEAN


@pytest.mark.parametrize("packages", [(), ({"name": "a", "skip_reason": "not found on PyPI"},)])
def test_an_audit_without_answers_is_no_pass(monkeypatch, capsys, packages):
    answer(monkeypatch, *packages, stderr="lines\nConnectionError: no such host")
    assert audit.audit_dependencies() == audit.NOT_DONE
    assert "DEPENDENCIES WERE NOT AUDITED" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "status"), [([], audit.NOT_DONE), (["--offline-ok"], audit.CLEAN)])
def test_ci_goes_on_without_a_network_and_says_so(monkeypatch, words, status):
    monkeypatch.setattr(sys, "argv", ["audit.py", *words])
    monkeypatch.setattr(audit, "scan_secrets", lambda: audit.CLEAN)
    monkeypatch.setattr(audit, "audit_dependencies", lambda: audit.NOT_DONE)
    assert audit.main() == status
    monkeypatch.setattr(audit, "scan_secrets", lambda: audit.FOUND)
    assert audit.main() == audit.FOUND


@pytest.mark.parametrize(
    "secret",
    [
        lambda: f'KEY = "{new_token("call-centre")}"',
        lambda: "-----BEGIN " + "PRIVATE KEY-----",
        lambda: 'aws_secret = "' + "AKIA" + 'IOSFODNN7EXAMPLZ"',
    ],
)
def test_a_secret_in_a_tracked_file_is_found(tmp_path: Path, monkeypatch, capsys, secret):
    def git(*words):
        subprocess.run(["git", "-C", tmp_path, *words], check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / "scripts").mkdir()
    (tmp_path / audit.DETECTOR).write_text((audit.ROOT / audit.DETECTOR).read_text())
    (tmp_path / "settings.py").write_text("NAME = 'nothing'\n")
    git("add", ".")
    monkeypatch.setattr(audit, "ROOT", tmp_path)
    audit.update_baseline()
    git("add", ".")
    assert audit.scan_secrets() == audit.CLEAN
    (tmp_path / "settings.py").write_text(secret() + "\n")
    git("add", ".")
    assert audit.scan_secrets() == audit.FOUND
    assert "settings.py:1" in capsys.readouterr().out
