"""`docs/metrics.md` as text: what the service measures, for operators. Writes no file."""

from __future__ import annotations

from tritone_backend.profiling.names import BUCKETS_S, CAUSES, METRICS, STAGES, TIMING_UNIT, Metric
from tritone_backend.profiling.recorder import KEPT_FILES, KEPT_S

_MADE = "<!-- Made by `python -m tritone_backend.profiling`: change backend/tritone_backend/profiling/ instead. -->"


def _row(metric: Metric) -> str:
    label = f"`{metric.label}`" if metric.label else ""
    return f"| `{metric.name}` | {metric.kind.value} | {metric.unit} | {label} | {metric.help} |"


def metrics_markdown() -> str:
    """The whole page."""
    stages = "\n".join(f"| `{name}` | {text} |" for name, text in STAGES.items())
    rows = "\n".join(_row(metric) for metric in METRICS)
    causes = "\n".join(f"| `{kind}` | {cause} |" for kind, cause in CAUSES.items())
    bounds = ", ".join(f"{bound * 1e3:g}" for bound in BUCKETS_S)
    return f"""{_MADE}
# What the service measures
`deploy/grafana/tritone.json` shows it, `deploy/prometheus/` scrapes it and holds the alerts. Names, units and texts
are in `backend/tritone_backend/profiling/names.py`; this page, the dashboard and the rules are made from it.

## Stages of a chunk
In this order and without overlap. The `timing` output has them in {TIMING_UNIT}, 0 where a stage did not happen. What a
chunk's whole way takes beyond their sum is the wait for the answers to its neighbours in the batch.

| stage | covers |
| --- | --- |
{stages}

## Prometheus
On `/metrics` (port 8002), with the label `model` (`streaming_asr`, `streaming_acoustic`) and those named here.

| metric | type | unit | label | |
| --- | --- | --- | --- | --- |
{rows}

Histograms have the upper bounds {bounds} ms. They are published as the counters they consist of (`_bucket` with `le`,
`_sum`, `_count`), so `# TYPE` says `counter`; `histogram_quantile` and `rate` work as ever. Counters and gauges are at
most 0.5 s old, histograms and ratios 5 s.

## Flight recorder
The last {KEPT_S:g} s of batches and chunks are kept in memory: times, sizes, stream ids, no audio, no text. They are
written to `flight-MODEL-TIME.jsonl` when a chunk is late, once a minute at most, and whenever `tritone serve` or a
model's process gets `SIGUSR2`; the log names the file (`event=flight-record`). Files lie beside the server's log, or in
`$TRITONE_FLIGHT_DIR`; the newest {KEPT_FILES} of each model are kept.

## Log lines
`event=NAME stream=ID reason=WORD key=value ... cause="..."`: of each event and reason ten at once, then one a second;
`unsaid=N` counts those in between. Stream 0 stands for all. `tritone serve` adds its own (`event=restart|ready|
probe-failed|draining|drained`) on stderr, with `reason` and `detail`.

| event and reason | cause |
| --- | --- |
{causes}

## Nsight Systems
With `TRITONE_NVTX=1` and the `nvtx` package there are ranges in the domain `tritone`, one for a whole batch: `unpack`
(resampling is part of it), `step` with `copy_in`, `network` and `copy_out` of engines that mark them, `endpoint`,
`decode`, `pack`; `queue` and `batch_wait` are the gaps. `nsys profile -t nvtx,cuda,osrt tritone serve` records them.
"""
