"""`tritone doctor`: prints the findings of `doctor` as a table or as JSON. Checks nothing itself."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tritone_backend.serve.doctor_finding import Check

EXAMPLE = """example:
  tritone doctor
  tritone doctor --json | jq '.checks[] | select(.state != "ok")'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `tritone doctor`."""
    parser.description = "Check what this machine has and lacks for serving. Exit status 1: it cannot serve."
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--grpc-port", type=int, default=8001, metavar="PORT", help="gRPC port to try (8001)")
    parser.add_argument("--metrics-port", type=int, default=8002, metavar="PORT", help="metrics port to try (8002)")


def run(args: argparse.Namespace) -> int:
    """Checks and prints.

    Returns:
        0 when this machine can serve, else 1.
    """
    from tritone_backend.serve.doctor import can_serve, examine

    checks = examine(args.grpc_port, args.metrics_port)
    able = can_serve(checks)
    if args.json:
        findings = {"can_serve": able, "checks": [asdict(check) for check in checks]}
        text = json.dumps(findings, ensure_ascii=False, indent=2)
    else:
        text = f"{table(checks)}\n\n{verdict(checks)}"
    sys.stdout.write(text + "\n")
    return 0 if able else 1


def table(checks: list[Check]) -> str:
    """One line per check, and one below it where something is to be done."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.name:<{width}}  {check.state:<7}  {check.detail}".rstrip())
        if check.remedy:
            lines.append(f"{'':<{width}}           {check.remedy}")
    return "\n".join(lines)


def verdict(checks: list[Check]) -> str:
    """The sum of it in one line."""
    lacking = [check.name for check in checks if check.needed and check.state != "ok"]
    if lacking:
        return f"This machine cannot serve: {', '.join(lacking)}."
    return "This machine can serve: `tritone serve`."
