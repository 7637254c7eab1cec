"""`python -m tritone_backend.profiling [FOLDER]`: writes everything that is made from `names` into a checkout."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tritone_backend.profiling.dashboard import dashboard
from tritone_backend.profiling.document import metrics_markdown
from tritone_backend.profiling.rules import prometheus_yaml, rules_yaml


def generated() -> dict[str, str]:
    """Text of every generated file by its path in the checkout."""
    return {
        "deploy/grafana/tritone.json": json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n",
        "deploy/prometheus/prometheus.yml": prometheus_yaml(),
        "deploy/prometheus/rules.yml": rules_yaml(),
        "docs/metrics.md": metrics_markdown(),
    }


def main(root: Path) -> None:
    """Write them below ``root``."""
    for path, text in generated().items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
