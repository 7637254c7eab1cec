"""Every name, unit, help text and bucket of the service's measurements. All else that names them is made from here.

Readers outside this package take the stage names from the model's configuration and the rest from `docs/metrics.md`,
`deploy/grafana` and `deploy/prometheus`, which `python -m tritone_backend.profiling` writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

QUEUE, UNPACK, RESAMPLE, BATCH_WAIT, COPY_IN, NETWORK, COPY_OUT, ENDPOINT, DECODE, PACK = range(10)

STAGES = {
    "queue": "from the request's arrival in the model to its turn",
    "unpack": "request to samples: checks, decoding of bytes; a new stream's session too",
    "resample": "conversion to the network's sample rate; not counted in unpack",
    "batch_wait": "from the chunk being ready to its batch starting",
    "copy_in": "samples and state to where the network reads them; of the whole batch",
    "network": "the network; of the whole batch",
    "copy_out": "log-probs and state to where they are kept; of the whole batch",
    "endpoint": "where phrases begin and end; of the whole batch",
    "decode": "log-probs to characters, words and events; of the whole batch; no wait for the search",
    "pack": "the answer handed to a sender; it goes to Triton beside the next batch",
}
"""The stages a chunk passes, in order, and what they cover. They do not overlap."""

TIMING_UNIT = "microseconds"
"""Unit of the `timing` output and of the flight recorder. Prometheus metrics are in seconds, as is usual there."""

BUCKETS_S = (
    *(50e-6, 100e-6, 200e-6, 500e-6),
    *(1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 35e-3, 50e-3, 75e-3),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 1.0),
)
"""Upper bounds of the histograms' buckets in seconds; one for all that is slower follows."""


class Kind(Enum):
    """Type of a Prometheus metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """One metric of `/metrics`. Each has the label ``model``, the Triton model, beside its own.

    Attributes:
        name: as Prometheus sees it; a histogram's series add ``_bucket``, ``_sum`` and ``_count``.
        kind: its type.
        unit: of its value, for people.
        help: what it says.
        label: a further label, or empty.
        values: the values of that label that exist from the start.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    label: str = ""
    values: tuple[str, ...] = ()


REFUSALS = ("full", "overloaded", "draining", "key-limit")
REJECTIONS = (
    *("unknown-stream", "duplicate-start", "overlap", "bad-option", "bad-audio", "too-large", "too-long"),
    *("unauthenticated", "forbidden", "internal"),
)
DEGRADATIONS = ("deadline", "short", "backlog", "failed")

SLOTS = Metric("tritone_streams_slots", Kind.GAUGE, "streams", "Streams that fit at once")
LIVE = Metric("tritone_streams_live", Kind.GAUGE, "streams", "Streams alive")
FREE = Metric("tritone_streams_free", Kind.GAUGE, "streams", "Slots without a stream")
READY = Metric("tritone_ready", Kind.GAUGE, "0 or 1", "Whether a new stream would be admitted now")
DRAINING = Metric("tritone_draining", Kind.GAUGE, "0 or 1", "Whether new streams are turned away for a drain")
BATCH_FILL = Metric(
    "tritone_batch_fill_ratio", Kind.GAUGE, "ratio", "Streams in a network step, as a share of the most it takes"
)
REAL_TIME_FACTOR = Metric(
    "tritone_real_time_factor", Kind.GAUGE, "ratio", "Seconds of the loop's work for a second of audio; 0 when idle"
)
ADMITTED = Metric("tritone_admitted_total", Kind.COUNTER, "streams", "Streams that got a slot")
REFUSED = Metric("tritone_refused_total", Kind.COUNTER, "streams", "Streams turned away, by reason", "reason", REFUSALS)
REAPED = Metric("tritone_reaped_total", Kind.COUNTER, "streams", "Streams dropped because their client went silent")
DRAINED = Metric(
    "tritone_drained_total", Kind.COUNTER, "streams", "Streams ended by a drain, so that clients move them elsewhere"
)
RESTARTS = Metric(
    "tritone_restarts_total", Kind.COUNTER, "restarts", "How often `tritone serve` had to start the server again"
)
REJECTED = Metric(
    "tritone_rejected_total",
    Kind.COUNTER,
    "requests",
    "Requests answered with an error of their own",
    "reason",
    REJECTIONS,
)
FAILED = Metric("tritone_failed_total", Kind.COUNTER, "streams", "Streams lost to an error of the service")
FAILED_BATCHES = Metric("tritone_failed_batches_total", Kind.COUNTER, "steps", "Network steps that failed")
BATCHES = Metric("tritone_batches_total", Kind.COUNTER, "steps", "Network steps")
CHUNKS = Metric("tritone_chunks_total", Kind.COUNTER, "chunks", "Chunks through the network")
LATE = Metric("tritone_late_total", Kind.COUNTER, "chunks", "Chunks answered later than they last")
LATE_BATCHES = Metric(
    "tritone_late_batches_total", Kind.COUNTER, "steps", "Network steps, with decoding, longer than a chunk lasts"
)
LATE_PARTIALS = Metric(
    "tritone_late_partials_total",
    Kind.COUNTER,
    "chunks",
    "Answers without final whose words are older than the chunk: the search took longer than --partial-deadline",
)
DEGRADED = Metric(
    "tritone_degraded_total",
    Kind.COUNTER,
    "phrases",
    "Finals with greedy words, by reason: the search was late, left speech out, fell behind or failed",
    "reason",
    DEGRADATIONS,
)
BUSY = Metric(
    "tritone_busy_seconds_total", Kind.COUNTER, "seconds", "Time that the batch loop worked, or its lanes on average"
)
CHUNK_SECONDS = Metric(
    "tritone_chunk_seconds",
    Kind.HISTOGRAM,
    "seconds",
    "A chunk's whole way, from its arrival in the model to its answer",
)
STAGE_SECONDS = Metric(
    "tritone_stage_seconds", Kind.HISTOGRAM, "seconds", "Time of a chunk in a stage", "stage", tuple(STAGES)
)

METRICS = (
    *(SLOTS, LIVE, FREE, READY, DRAINING, BATCH_FILL, REAL_TIME_FACTOR),
    *(ADMITTED, REFUSED, REAPED, DRAINED, REJECTED, FAILED, FAILED_BATCHES, RESTARTS),
    *(BATCHES, CHUNKS, LATE, LATE_BATCHES, LATE_PARTIALS, DEGRADED, BUSY),
    *(CHUNK_SECONDS, STAGE_SECONDS),
)
"""All of them, in the order of the documentation."""

CAUSES = {
    "refused full": "every slot is taken by a live call",
    "refused overloaded": "with one more stream this machine would be late for those it has",
    "refused key-limit": "its API key has all the streams open that it may have",
    "refused draining": "the server is being drained: it takes no new streams",
    "rejected unknown-stream": "no such stream: never started, ended, silent for too long, or the server restarted",
    "rejected duplicate-start": "the client started a stream under an id that is live",
    "rejected overlap": "the client sent a request while one of the same stream was in work",
    "rejected bad-option": "the client asked for something that does not exist or is out of range",
    "rejected bad-audio": "the bytes are no audio in the encoding that was agreed on",
    "rejected too-large": "more audio in one request than is taken",
    "rejected too-long": "the call has lasted longer than --max-call allows: its client must end it",
    "rejected unauthenticated": "no API key, or one that is wrong, revoked or expired",
    "rejected forbidden": "the API key is valid but not for this model",
    "rejected internal": "the request could not be read",
    "reaped": "its client sent nothing for longer than the idle limit: vanished, hung, or never ended its stream",
    "drained": "a drain ended the stream: its client resumes it on another server",
    "failed": "an error of the service ended the stream: its client replays it",
    "batch-failed": "a network step failed: its streams are lost here and replayed by their clients",
    "degraded deadline": "the search was not done in time, so a final has greedy words: this machine is at its limit",
    "degraded short": "the search left out much of what was heard, so a final has greedy words",
    "degraded backlog": "the search fell minutes behind one stream, so a final has greedy words",
    "degraded failed": "the search failed on a phrase, so its final has greedy words",
    "late": "answered later than the chunk lasts: batch_wait_ms is waiting for others, network_ms the network itself",
    "late-batch": "one network step took longer than a chunk lasts: look at what else this machine does",
    "not-ready full": "new streams are refused: every slot is taken",
    "not-ready overloaded": "new streams are refused: one more would make all of them late",
    "not-ready draining": "new streams are refused: the server is being drained",
    "ready": "new streams are admitted again",
    "drain": "from now on new streams are refused and running ones finish",
    "drain-end": "the drain's time is up: running streams are ended, and their clients move them",
    "undrain": "the drain was taken back: new streams are admitted",
    "tick-failed": "housekeeping failed and goes on at the next tick: metrics or flight records may be stale",
}
"""What each kind of log line, an event and perhaps its reason, means to a person."""
