"""Which part of the service a load exhausts first, from stage times and processor use. Measures nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

from tritone_bench.level import Level

# Work of the model's own loop, which runs one step at a time; the others wait for it or happen outside.
PER_STEP = ("copy_in", "network", "copy_out", "endpoint", "decode")
PER_CHUNK = ("unpack", "resample", "pack")
BUSY = 0.75


@dataclass(frozen=True)
class Limit:
    """What limits a load.

    Attributes:
        stage: its name.
        why: one line for a person.
    """

    stage: str
    why: str


def loop_shares(level: Level) -> dict[str, float]:
    """Share of the model loop's time that each stage takes, 0 to 1; empty without stage times and metrics.

    A stage of a whole step is spent once for all streams in it, so its time divides by the batch.
    """
    batch = level.usage.batch
    if not level.stages or not batch:
        return {}
    share = {}
    for stage in level.stages:
        if stage.name in PER_STEP:
            share[stage.name] = level.chunks_per_s / batch * stage.mean_us / 1e6
        elif stage.name in PER_CHUNK:
            share[stage.name] = level.chunks_per_s * stage.mean_us / 1e6
    total = sum(share.values())
    return {name: value / max(1.0, total) for name, value in share.items()}


def limiting_stage(levels: list[Level], confirmed: Level | None, cores: int) -> Limit:
    """Why no more streams fit.

    Args:
        levels: all that were measured.
        confirmed: the level that passed.
        cores: processor cores of the machine.
    """
    failures = [level for level in levels if level.failed and not level.fatal]
    failure = min(failures, key=lambda level: level.streams, default=None)
    if failure is not None and "are taken" in failure.failed:
        return Limit("slots", f"the service has no more slots: {failure.failed}; raise --max-streams")
    if failure is None and confirmed is not None:
        return Limit("none", f"nothing: {confirmed.streams} streams are the most that were tried")
    passed = max((level for level in levels if not level.failed), key=lambda level: level.streams, default=None)
    busiest = confirmed or passed or failure
    if busiest is None:
        return Limit("unknown", "nothing was measured")
    shares = loop_shares(busiest)
    total = sum(shares.values()) if busiest.usage.loop_busy is None else busiest.usage.loop_busy
    if shares and total > BUSY:
        stage = max(shares, key=shares.__getitem__)
        return Limit(
            stage,
            f"{stage}: {shares[stage]:.0%} of the model loop's time (the loop is busy {total:.0%}, "
            f"{busiest.usage.batch:.1f} streams a step)",
        )
    used = (busiest.usage.service_cores or 0.0) + busiest.usage.generator_cores
    if busiest.usage.service_cores is not None and used > 0.85 * cores:
        server, whole = busiest.usage.server_cores or 0.0, busiest.usage.service_cores
        stage = "transport" if server > whole / 2 else max(shares, key=shares.__getitem__, default="network")
        return Limit(
            stage,
            f"{stage}: the processor is full, {whole:.2f} of {cores} cores by the service "
            f"({server:.2f} gRPC and Triton, {whole - server:.2f} the model), "
            f"{busiest.usage.generator_cores:.2f} by the load generator",
        )
    slowest = max(busiest.stages, key=lambda stage: stage.p99_us, default=None)
    if slowest is None:
        return Limit("unknown", "unknown: the service gave no stage times")
    inside = ""
    if slowest.name == "transport" and busiest.usage.triton_ms:
        parts = ", ".join(f"{part} {busiest.usage.triton_ms[part]:.1f}" for part in ("queue", "in", "out"))
        inside = f" (inside Triton, mean: {parts} ms)"
    return Limit(
        slowest.name,
        f"{slowest.name}: p99 {slowest.p99_us / 1e3:.1f} ms of the chunk's way{inside}; nothing is saturated",
    )
