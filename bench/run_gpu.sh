#!/usr/bin/env bash
# Measures the torch engine on this machine's GPU: correctness, then speed; under four minutes for check and speed.
# Every group is a process of its own with a time limit, so that none takes the others with it. The exit status is 1 if a
# group failed, ran out of time, or found log-probs further from float32 than allowed (tritone_bench/engine_verdict.py).
#   OUT=results bash bench/run_gpu.sh [group ...]      groups: check quick speed naive sweep sweep64 serve
set -u
cd "$(dirname "$0")/.."
OUT=${OUT:-results}
mkdir -p "$OUT"
export PYTHONPATH="$PWD/backend:$PWD/acoustic:$PWD/bench:$PWD/client${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1
PYTHON=${PYTHON:-python3}
WEIGHTS=${TMPDIR:-/tmp}/tritone-bench-weights.pt
FAILED=0
measure() {
    local name=$1 limit=$2 status
    shift 2
    local begin=$SECONDS
    timeout -k 5 "$limit" "$PYTHON" -m tritone_bench.engine --out "$OUT" --weights-cache "$WEIGHTS" --seconds "$((limit - 10))" "$@" \
        2>&1 | tee "$OUT/$name.log"
    status=${PIPESTATUS[0]}
    [ "$status" -eq 0 ] || FAILED=1
    echo "== $name: status $status, $((SECONDS - begin)) s"
}
for group in ${*:-check speed naive sweep}; do
    case $group in
        check) measure check 140 --sections parity,kernels,independence,trained,vector,fp8 ;;
        quick) measure quick 120 --sections parity,independence,trained,ladder ;; # still right and fast? half a minute, and one more where kernels are compiled first
        speed) measure speed 100 --sections ladder,ceilings,profile,slots ;;
        naive) measure naive 35 --sections naive ;;
        sweep) measure sweep 50 --sections sweep --batch 1024 ;;
        sweep64) measure sweep64 40 --sections sweep --batch 64 ;;
        serve) bash bench/serve_gpu.sh || FAILED=1 ;; # the service end to end, ten minutes
        *)
            echo "unknown group $group: there are check quick speed naive sweep sweep64 serve"
            FAILED=1
            ;;
    esac
done
exit "$FAILED"
