#!/usr/bin/env bash
# The service end to end on a GPU host: live streams through Triton with the load generator on the same cores.
# For a machine with PyTorch and a GPU but no network: `make gpu-host` packs what it lacks into data/gpu-host.
#   OUT=results bash bench/serve_gpu.sh [step ...]        steps: t-one default rate; see below
# Every step has a time limit of its own and keeps its logs; what one leaves behind does not hinder the next.
set -u
cd "$(dirname "$0")/.."
ROOT=$PWD
OUT=${OUT:-results}
WORK=${WORK:-/tmp/tritone-host}
ENGINE=${ENGINE:-torch}
INSTANCES=${INSTANCES:-10}
SLOTS=${SLOTS:-20000}
DECODER=${DECODER:-greedy}
START=${START:-9000}
PROCESSES=${PROCESSES:-6}
LIMIT=${LIMIT:-270}
PYTHON=${PYTHON:-python3}
mkdir -p "$OUT" "$WORK"
export PYTHONUNBUFFERED=1 TRITONE_CACHE=$WORK/cache XDG_STATE_HOME=$WORK/state OMP_NUM_THREADS=1
begun=$SECONDS
port=8001
say() { echo "== $((SECONDS - begun)) s: $*"; }

say "unpacking"
timeout 90 "$PYTHON" "$ROOT/scripts/unpack_gpu_host.py" "$ROOT/data/gpu-host" "$WORK/venv" || exit 2
TRITONE=$WORK/venv/bin/tritone
"$WORK/venv/bin/python" - <<'PYTHON'
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
# keep NAME: one archive per step, because few files come back
keep() {
    tar -C "$WORK" -czf "$OUT/$1.tar.gz" "results-$1" "state" "$1.log" 2>/dev/null
    ls -la "$OUT/$1.tar.gz"
}
# capacity NAME MODEL: the search for the most streams, started near the goal
capacity() {
    local name=$1 model=$2 began=$SECONDS
    port=$((port + 10))  # of its own, in case the server before is still going
    say "$name: capacity of $model, $INSTANCES instances, from $START streams"
    mkdir -p "$WORK/results-$name"
    timeout -k 45 "$LIMIT" "$TRITONE" bench capacity --quick --model "$model" --engine "$ENGINE" \
        --instances "$INSTANCES" --admission slots --decoder "$DECODER" --max-streams "$SLOTS" --first "$START" --processes "$PROCESSES" \
        --server "127.0.0.1:$port" --metrics-port "$((port + 1))" --out "$WORK/results-$name" ${EXTRA:-} 2>&1 | tee "$WORK/$name.log"
    say "$name: status ${PIPESTATUS[0]}, $((SECONDS - began)) s"
    keep "$name"
}
for step in ${*:-t-one default}; do
    case $step in
        t-one)
            if [ ! -f "$WORK/t-one/model.toml" ]; then
                say "the 71.7 M architecture with the weights of tests/fixtures/parity"
                timeout -k 5 60 "$WORK/venv/bin/python" scripts/reference_model.py "$WORK/t-one" || continue
            fi
            capacity t-one "$WORK/t-one"
            ;;
        default) capacity default default ;;
        *) echo "unknown step $step: t-one default" ;;
    esac
done
say "done"
for name in t-one default; do
    [ -f "$WORK/$name.log" ] && echo "-- $name" && tail -n 25 "$WORK/$name.log"
done
exit 0
