"""The Grafana dashboard as a dictionary, with the names of `names`. Writes no file."""

from __future__ import annotations

from typing import Any

from tritone_backend.profiling import names
from tritone_backend.profiling.rules import quantile

_PICK = 'instance=~"$instance",model="$model"'
_SOURCE = {"type": "prometheus", "uid": "$datasource"}
_WINDOW = "$__rate_interval"
_WIDTH, _HEIGHT = 8, 8


def _rate(metric: names.Metric, suffix: str = "", picked: str = _PICK) -> str:
    return f"rate({metric.name}{suffix}{{{picked}}}[{_WINDOW}])"


def _panel(title: str, description: str, unit: str, queries: dict[str, str], *, stack: bool = False) -> dict[str, Any]:
    """A time series panel: queries by legend."""
    custom = {"stacking": {"mode": "normal"}, "fillOpacity": 40} if stack else {"fillOpacity": 5}
    return {
        "type": "timeseries",
        "title": title,
        "description": description,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + at), "expr": query, "legendFormat": legend, "datasource": _SOURCE}
            for at, (legend, query) in enumerate(queries.items())
        ],
    }


def _panels() -> list[dict[str, Any]]:
    stage_sum = f"sum by (stage) ({_rate(names.STAGE_SECONDS, '_sum')})"
    chunks = f"sum({_rate(names.CHUNKS)})"
    spent = f"sum({_rate(names.CHUNK_SECONDS, '_sum')}) - sum({_rate(names.STAGE_SECONDS, '_sum')})"
    stage_p99 = f"histogram_quantile(0.99, sum by (stage, le) ({_rate(names.STAGE_SECONDS, '_bucket')}))"
    latency = {
        f"p{share * 100:g}": quantile(share, _WINDOW).replace("_bucket[", f"_bucket{{{_PICK}}}[")
        for share in (0.5, 0.95, 0.99)
    }
    return [
        _panel(
            "Chunk latency", names.CHUNK_SECONDS.help, "s", {f"{k} {{{{instance}}}}": v for k, v in latency.items()}
        ),
        _panel(
            "Where a chunk's time goes",
            "Mean time in each stage; `neighbours` is the wait for the other answers of the batch",
            "s",
            {"{{stage}}": f"{stage_sum} / scalar({chunks})", "neighbours": f"clamp_min({spent}, 0) / {chunks}"},
            stack=True,
        ),
        _panel("Stages, p99", names.STAGE_SECONDS.help, "s", {"{{stage}}": stage_p99}),
        _panel(
            "Streams",
            "Live streams and the slots there are",
            "short",
            {
                "live {{instance}}": f"{names.LIVE.name}{{{_PICK}}}",
                "slots {{instance}}": f"{names.SLOTS.name}{{{_PICK}}}",
            },
        ),
        _panel("Free slots", names.FREE.help, "short", {"{{instance}}": f"{names.FREE.name}{{{_PICK}}}"}),
        _panel(
            "Turned away",
            "Refused streams and rejected requests a second, by reason",
            "ops",
            {
                "refused: {{reason}}": f"sum by (reason) ({_rate(names.REFUSED)})",
                "rejected: {{reason}}": f"sum by (reason) ({_rate(names.REJECTED)})",
            },
        ),
        _panel(
            "Late, lost and reaped",
            "Late chunks, streams lost to an error and streams of vanished clients a second",
            "ops",
            {
                "late chunks": f"sum({_rate(names.LATE)})",
                "lost streams": f"sum({_rate(names.FAILED)})",
                "reaped streams": f"sum({_rate(names.REAPED)})",
                "failed steps": f"sum({_rate(names.FAILED_BATCHES)})",
            },
        ),
        _panel(
            "Load of the batch loop",
            "Share of the time that the loop works, and its real-time factor",
            "percentunit",
            {
                "busy {{instance}}": _rate(names.BUSY),
                "real-time factor {{instance}}": f"{names.REAL_TIME_FACTOR.name}{{{_PICK}}}",
                "batch fill {{instance}}": f"{names.BATCH_FILL.name}{{{_PICK}}}",
            },
        ),
        _panel(
            "Work",
            "Chunks, steps and new streams a second",
            "ops",
            {
                "chunks": chunks,
                "steps": f"sum({_rate(names.BATCHES)})",
                "new streams": f"sum({_rate(names.ADMITTED)})",
            },
        ),
    ]


def _variable(name: str, query: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        **more,
    }


def dashboard() -> dict[str, Any]:
    """`deploy/grafana/tritone.json`: import it, or provision it; it asks for the data source."""
    panels = _panels()
    for at, panel in enumerate(panels):
        panel["id"] = at + 1
        panel["gridPos"] = {"x": at % 3 * _WIDTH, "y": at // 3 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
    return {
        "uid": "tritone",
        "title": "Tritone",
        "tags": ["tritone", "speech"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                _variable(
                    "instance",
                    f"label_values({names.SLOTS.name}, instance)",
                    multi=True,
                    includeAll=True,
                    allValue=".*",
                ),
                _variable(
                    "model",
                    f"label_values({names.SLOTS.name}, model)",
                    current={"text": "streaming_asr", "value": "streaming_asr"},
                ),
            ]
        },
        "panels": panels,
    }
