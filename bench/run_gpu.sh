#!/usr/bin/env bash
# Measures the torch engine on this machine's GPU: correctness, then speed; under four minutes in all.
# Every group is a process of its own with a time limit, so that none takes the others with it.
#   OUT=results bash bench/run_gpu.sh [group ...]      groups: check speed naive sweep
set -u
cd "$(dirname "$0")/.."
OUT=${OUT:-results}
mkdir -p "$OUT"
export PYTHONPATH="$PWD/backend:$PWD/acoustic:$PWD/bench:$PWD/client${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1
PYTHON=${PYTHON:-python3}
WEIGHTS=${TMPDIR:-/tmp}/tritone-bench-weights.pt
measure() {
    local name=$1 limit=$2
    shift 2
    local begin=$SECONDS
    timeout -k 5 "$limit" "$PYTHON" -m tritone_bench.engine --out "$OUT" --weights-cache "$WEIGHTS" --seconds "$((limit - 10))" "$@" \
        2>&1 | tee "$OUT/$name.log"
    echo "== $name: status ${PIPESTATUS[0]}, $((SECONDS - begin)) s"
}
for group in ${*:-check speed naive sweep}; do
    case $group in
        check) measure check 90 --sections parity,kernels,independence ;;
        speed) measure speed 70 --sections ladder,profile,slots ;;
        naive) measure naive 35 --sections naive ;;
        sweep) measure sweep 50 --sections sweep --batch 1024 ;;
        sweep64) measure sweep64 40 --sections sweep --batch 64 ;;
        *) echo "unknown group $group" ;;
    esac
done
