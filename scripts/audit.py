"""`make audit`: known flaws of what is installed (pip-audit), and secrets in what is committed (detect-secrets).

Exit status 0: both were done and found nothing; 1: something was found; 3: pip-audit could not ask anybody. That is
never called a pass: `--offline-ok`, which CI uses, says so as loudly and only does not fail for it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BASELINE = ".secrets.baseline"
DETECTOR = "scripts/tritone_key_detector.py"
PLUGINS = ("-p", DETECTOR, "--disable-plugin", "HexHighEntropyString")
"""Hexadecimal strings here are checksums; our own keys have a detector of their own."""

NOT_SCANNED = (
    r"^(\.secrets\.baseline$|bench/results/|models/.*\.(onnx|png)$|tests/audio/.*\.(wav|flac)$|tests/fixtures/)"
)
"""Measurements, weights, recordings: numbers that look like secrets and are not written by people."""

CLEAN, FOUND, NOT_DONE = 0, 1, 3
TIMEOUT_S = 240


def main() -> int:
    """Run both and sum up."""
    parser = argparse.ArgumentParser(description="Audit dependencies and look for secrets.")
    parser.add_argument("--offline-ok", action="store_true", help="exit 0 when no vulnerability service is reachable")
    parser.add_argument("--update-baseline", action="store_true", help="accept what is found now, after a look at it")
    options = parser.parse_args()
    if options.update_baseline:
        return update_baseline()
    secrets = scan_secrets()
    dependencies = audit_dependencies()
    if FOUND in (secrets, dependencies):
        return FOUND
    return CLEAN if options.offline_ok else dependencies


def audit_dependencies() -> int:
    """Ask a vulnerability service about every installed package."""
    for service in ("pypi", "osv"):
        command = [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--progress-spinner", "off"]
        command += ["--format", "json", "--timeout", "10", "--vulnerability-service", service]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
            packages = json.loads(ran.stdout)["dependencies"]
        except subprocess.TimeoutExpired:
            print(f"pip-audit: {service} did not answer within {TIMEOUT_S} s")
            continue
        except (ValueError, KeyError):
            print(f"pip-audit: {service} cannot be asked: {_last_line(ran.stderr)}")
            continue
        if any("vulns" in package for package in packages):
            return _report(packages, service)
        print(f"pip-audit: {service} knows none of {len(packages)} packages: what answers there is no such service")
    print("pip-audit: DEPENDENCIES WERE NOT AUDITED: no vulnerability service is reachable from this machine")
    return NOT_DONE


def _report(packages: list[dict[str, Any]], service: str) -> int:
    """Say what was found; packages that the service does not know are named, not passed over."""
    audited = [package for package in packages if "vulns" in package]
    for package in packages:
        if "vulns" not in package:
            print(f"pip-audit: not audited: {package['name']} ({package.get('skip_reason')})")
    for package in audited:
        for flaw in package["vulns"]:
            mended = ", ".join(flaw["fix_versions"]) or "no release yet"
            print(f"pip-audit: {package['name']} {package['version']}: {flaw['id']}, mended in {mended}")
    flawed = sum(bool(package["vulns"]) for package in audited)
    print(f"pip-audit ({service}): {len(audited)} of {len(packages)} packages audited, {flawed} with known flaws")
    return FOUND if flawed else CLEAN


def scan_secrets() -> int:
    """Look for secrets in every tracked file that people write."""
    files = [name for name in _git("ls-files", "-z").split("\0") if name and name != BASELINE]
    with tempfile.TemporaryDirectory() as folder:
        # The hook rewrites its baseline when known findings moved to other lines; that must not change the tree.
        copy = shutil.copy(ROOT / BASELINE, folder)
        command = [_tool("detect-secrets-hook"), "--baseline", copy, *PLUGINS, "--exclude-files", NOT_SCANNED]
        ran = subprocess.run(
            [*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    if ran.returncode in (0, 3):  # 3: lines moved
        print(f"detect-secrets: {len(files)} tracked files, nothing that is not in {BASELINE}")
        return CLEAN
    print(ran.stdout + ran.stderr)
    print("detect-secrets: take it out and make it worthless; if it is no secret: scripts/audit.py --update-baseline")
    return FOUND


def update_baseline() -> int:
    """Write down what is found now as known."""
    command = [_tool("detect-secrets"), "scan", *PLUGINS, "--exclude-files", NOT_SCANNED]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    found = json.loads(ran.stdout)
    # Our own detector is named on every command line; the baseline would name it by this machine's path.
    found["plugins_used"] = [plugin for plugin in found["plugins_used"] if "path" not in plugin]
    (ROOT / BASELINE).write_text(json.dumps(found, indent=2) + "\n")
    for path, findings in found["results"].items():
        for finding in findings:
            print(f"{path}:{finding['line_number']}: {finding['type']}")
    return CLEAN


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "no answer"


if __name__ == "__main__":
    sys.exit(main())
