#!/usr/bin/env bash
# The service end to end on a GPU host: live streams through Triton with the load generator on the same cores.
# For a machine with PyTorch and a GPU but no network: `make gpu-host` packs what it lacks into data/gpu-host.
#   OUT=results bash bench/serve_gpu.sh [step ...]
# Steps: arrange (each of $ARRANGEMENTS holds $FIRST streams of the 71.7 M architecture), hold (the default model holds
# them), t-one and default (capacity of either model). The last three use the best arrangement, or $ARRANGEMENT. Every
# step has a time limit of its own and keeps its logs; all end before $TOTAL.
set -u
cd "$(dirname "$0")/.."
ROOT=$PWD
OUT=${OUT:-results}
WORK=${WORK:-/tmp/tritone-host}
ENGINE=${ENGINE:-torch}
DECODER=${DECODER:-greedy}
ARRANGEMENTS=${ARRANGEMENTS:-shared:8 own:8}
ARRANGEMENT=${ARRANGEMENT:-}
REFERENCE=${REFERENCE:-$WORK/t-one}
SLOTS=${SLOTS:-20000}
FIRST=${FIRST:-9000}
SECONDS_EACH=${SECONDS_EACH:-10}
PROCESSES=${PROCESSES:-6}
LIMIT=${LIMIT:-205}
TOTAL=${TOTAL:-580}
PYTHON=${PYTHON:-python3}
mkdir -p "$OUT" "$WORK"
OUT=$(cd "$OUT" && pwd)
export PYTHONUNBUFFERED=1 TRITONE_CACHE=$WORK/cache XDG_STATE_HOME=$WORK/state OMP_NUM_THREADS=1
begun=$SECONDS
port=8001
say() { echo "== $((SECONDS - begun)) s: $*"; }
# limit MOST: seconds that a step may take, what comes after it and stopping considered
limit() {
    local left=$((TOTAL - (SECONDS - begun) - 20))
    echo $(($1 < left ? $1 : left))
}

say "unpacking"
timeout 90 "$PYTHON" "$ROOT/scripts/unpack_gpu_host.py" "$ROOT/data/gpu-host" "$WORK/venv" || exit 2
TRITONE=$WORK/venv/bin/tritone
timeout 60 "$WORK/venv/bin/python" - <<'PYTHON'
import os, sys
import grpc, google.protobuf, numpy, soundfile, soxr
print(f"Python {sys.version.split()[0]}, numpy {numpy.__version__}, grpcio {grpc.__version__}, "
      f"protobuf {google.protobuf.__version__}, {len(os.sched_getaffinity(0))} cores")
try:
    import torch
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'no GPU'}")
except ImportError:
    print("no torch")
PYTHON
df -h /dev/shm | tail -n 1

# bench NAME MODEL ARRANGEMENT SECONDS COMMAND...: one bench command with a service of its own
bench() {
    local name=$1 model=$2 how=${3%%:*} instances=${3##*:} most began=$SECONDS
    most=$(limit "$4")
    shift 4
    if [ "$most" -lt 40 ]; then
        say "$name: no time left"
        return
    fi
    port=$((port + 10)) # of its own, in case the server before is still going
    mkdir -p "$WORK/results-$name"
    say "$name: $model, $instances instances, engine process $how, at most $most s"
    timeout -k 15 "$most" "$TRITONE" bench "$@" --model "$model" --engine "$ENGINE" --instances "$instances" \
        --engine-process "$how" --admission slots --decoder "$DECODER" --max-streams "$SLOTS" \
        --processes "$PROCESSES" --server "127.0.0.1:$port" --metrics-port "$((port + 1))" \
        --out "$WORK/results-$name" 2>&1 | tee "$WORK/$name.log"
    say "$name: status ${PIPESTATUS[0]}, $((SECONDS - began)) s"
    tar -C "$WORK" -czf "$OUT/$name.tar.gz" "results-$name" "$name.log" state 2>/dev/null
}
# best: the arrangement with the least p99 of those that failed nowhere, by the records of the loads
best() {
    "$WORK/venv/bin/python" - "$WORK" <<'PYTHON'
import json, sys
from pathlib import Path
found = []
for record in Path(sys.argv[1]).glob("results-arrange-*/*/run.json"):
    for level in json.loads(record.read_text())["levels"]:
        name = record.parent.parent.name.removeprefix("results-arrange-").replace("-", ":")
        found.append((bool(level["lost"] or level["wrong"] or level["refused"]), level["p99_ms"], name))
print(min(found)[2] if found else "shared:8")
PYTHON
}
# table: what every load of every step came to
table() {
    "$WORK/venv/bin/python" - "$WORK" <<'PYTHON'
import json, sys
from pathlib import Path
head = ("step", "streams", "chunks/s", "p50", "p95", "p99", "max ms", "service", "server", "gen cores", "gpu %", "batch",
        "lag99", "in Triton", "verdict")
rows = [head]
for record in sorted(Path(sys.argv[1]).glob("results-*/*/run.json"), key=lambda path: path.stat().st_mtime):
    run = json.loads(record.read_text())
    for level in run["levels"]:
        use = level["usage"]
        number = lambda value, places=1: "-" if value is None else f"{value:.{places}f}"
        rows.append((record.parent.parent.name.removeprefix("results-"), str(level["streams"]),
                     number(level["chunks_per_s"], 0), *(number(level[k]) for k in ("p50_ms", "p95_ms", "p99_ms", "max_ms")),
                     *(number(use[k]) for k in ("service_cores", "server_cores", "generator_cores", "gpu_percent", "batch")),
                     number(level["lag_p99_ms"], 2), number((use.get("triton_ms") or {}).get("whole")), level["failed"][:60] or "ok"))
widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
for row in rows:
    print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))
PYTHON
}
t_one() {
    [ "$REFERENCE" != "$WORK/t-one" ] || [ -f "$REFERENCE/model.toml" ] && return
    say "the 71.7 M architecture with the weights of tests/fixtures/parity"
    timeout -k 5 60 "$WORK/venv/bin/python" scripts/reference_model.py "$REFERENCE"
}
for step in ${*:-arrange t-one default}; do
    case $step in
        arrange)
            t_one || continue
            for arrangement in $ARRANGEMENTS; do
                bench "arrange-${arrangement/:/-}" "$REFERENCE" "$arrangement" 100 \
                    load --streams "$FIRST" --seconds "$SECONDS_EACH" --ramp 4 --roof 227233
            done
            ;;
        t-one)
            t_one || continue
            bench t-one "$REFERENCE" "${ARRANGEMENT:-$(best)}" "$LIMIT" \
                capacity --quick --first "$FIRST" --roof 227233
            ;;
        hold)
            bench hold-default default "${ARRANGEMENT:-$(best)}" 100 \
                load --streams "$FIRST" --seconds "$SECONDS_EACH" --ramp 4
            ;;
        default) bench default default "${ARRANGEMENT:-$(best)}" "$LIMIT" capacity --quick --first "$FIRST" ;;
        *) echo "unknown step $step: arrange hold t-one default" ;;
    esac
done
say "done"
table 2>&1 | tee "$OUT/table.txt"
exit 0
