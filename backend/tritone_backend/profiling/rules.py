"""Prometheus rules and scrape configuration as text, with the names of `names`. Writes no file."""

from __future__ import annotations

from dataclasses import dataclass

from tritone_backend.profiling import names

MADE = "# Made by `python -m tritone_backend.profiling`: change backend/tritone_backend/profiling/ instead."
JOB = "tritone"
_ASR = 'model="streaming_asr"'
_BY = "sum by (instance, model, le)"


@dataclass(frozen=True)
class Alert:
    """One alerting rule: when, for how long, and what a person should know."""

    name: str
    when: str
    lasting: str
    severity: str
    summary: str
    action: str


def quantile(share: float, window: str = "5m") -> str:
    """PromQL: a quantile of the chunk latency in seconds, for each instance and model."""
    return f"histogram_quantile({share:g}, {_BY} (rate({names.CHUNK_SECONDS.name}_bucket[{window}])))"


RECORDED = {
    "tritone:chunk_seconds:p50": quantile(0.5),
    "tritone:chunk_seconds:p99": quantile(0.99),
    "tritone:late:ratio": f"rate({names.LATE.name}[5m]) / (rate({names.CHUNKS.name}[5m]) > 0)",
    "tritone:loop:busy": f"rate({names.BUSY.name}[5m])",
}
"""Recording rules: series that dashboards and alerts read often."""

ALERTS = (
    Alert(
        "TritoneDown",
        f'up{{job="{JOB}"}} == 0',
        "1m",
        "critical",
        "{{ $labels.instance }} does not answer on /metrics",
        "Live calls go to other instances. Look at the server's log and at `tritone doctor`.",
    ),
    Alert(
        "TritoneSlow",
        f"tritone:chunk_seconds:p99{{{_ASR}}} > 0.1",
        "5m",
        "warning",
        "{{ $labels.instance }}: p99 of a chunk is {{ $value | humanizeDuration }}",
        "The panel of stages says where the time goes; send fewer streams or lower --max-streams.",
    ),
    Alert(
        "TritoneLate",
        f"tritone:late:ratio{{{_ASR}}} > 0.01",
        "2m",
        "critical",
        "{{ $labels.instance }}: {{ $value | humanizePercentage }} of the chunks come later than real time",
        "The flight record named in the server's log shows the batches around the first late chunk.",
    ),
    Alert(
        "TritoneFull",
        f"{names.FREE.name}{{{_ASR}}} / {names.SLOTS.name} < 0.05",
        "5m",
        "warning",
        "{{ $labels.instance }} has less than 5 % of its slots left",
        "Add an instance, or raise --max-streams if the chunk latency allows it.",
    ),
    Alert(
        "TritoneRefusing",
        f"sum by (instance, reason) (rate({names.REFUSED.name}{{{_ASR}}}[5m])) > 0",
        "5m",
        "warning",
        "{{ $labels.instance }} refuses streams ({{ $labels.reason }})",
        "full: no slot; overloaded: one more would be late; draining: a restart. Callers try other instances.",
    ),
    Alert(
        "TritoneFailing",
        f"increase({names.FAILED.name}[5m]) > 0",
        "0m",
        "critical",
        "{{ $labels.instance }} lost {{ $value | humanize }} streams to an error of its own",
        "The log has event=failed lines; clients replay their streams.",
    ),
    Alert(
        "TritoneNearCapacity",
        f"tritone:loop:busy{{{_ASR}}} > 0.85",
        "10m",
        "warning",
        "{{ $labels.instance }}: the batch loop works {{ $value | humanizePercentage }} of the time",
        "Latency grows from here on. Add an instance before the next busy hour.",
    ),
)


def rules_yaml() -> str:
    """`deploy/prometheus/rules.yml`."""
    lines = [MADE, "groups:", "  - name: tritone-recorded", "    interval: 15s", "    rules:"]
    for record, expression in RECORDED.items():
        lines += [f"      - record: {record}", f"        expr: {_text(expression)}"]
    lines += ["  - name: tritone-alerts", "    rules:"]
    for alert in ALERTS:
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {_text(alert.when)}",
            f"        for: {alert.lasting}",
            "        labels:",
            f"          severity: {alert.severity}",
            "        annotations:",
            f"          summary: {_text(alert.summary)}",
            f"          description: {_text(alert.action)}",
        ]
    return "\n".join(lines) + "\n"


def prometheus_yaml() -> str:
    """`deploy/prometheus/prometheus.yml`: a start for a service on this machine."""
    return f"""{MADE}
global:
  scrape_interval: 15s
  evaluation_interval: 15s
rule_files:
  - rules.yml
scrape_configs:
  - job_name: {JOB}
    static_configs:
      - targets: ["localhost:8002"]
"""


def _text(value: str) -> str:
    """A YAML string in single quotes."""
    return "'" + value.replace("'", "''") + "'"
