#!/usr/bin/env bash
# Starts a training run in the background on a machine without network: unpacks the bundle, detaches, returns.
#
#   acoustic/train_on_gpu.sh [WORK_FOLDER] [arguments of `training train`]
#
# WORK_FOLDER (default /tmp/tritone) gets data/, pool/ and run/. Afterwards:
#   . WORK_FOLDER/env; $PYTHON -m tritone_acoustic.training watch --run WORK_FOLDER/run --seconds 500
#   . WORK_FOLDER/env; $PYTHON -m tritone_acoustic.training collect --run WORK_FOLDER/run --out OUT
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
work=${1:-/tmp/tritone}
shift || true
python=${PYTHON:-python3}
mkdir -p "$work/run"

# A copy of the code: whoever replaces the checkout during the run does not disturb it.
rm -rf "$work/code"
mkdir -p "$work/code"
cp -r "$repository/acoustic/tritone_acoustic" "$work/code/"
export PYTHONPATH="$work/code:$work/data/site${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS=2
printf 'export PYTHON=%q PYTHONPATH=%q PYTHONUNBUFFERED=1\n' "$python" "$PYTHONPATH" >"$work/env"

cd "$work"
"$python" -m tritone_acoustic.data --data "$work/data" unpack "$repository/data/bundle"
setsid nohup "$python" -m tritone_acoustic.training --debug train \
    --run "$work/run" --data "$work/data" --pool "$work/pool" "$@" \
    >>"$work/run/train.log" 2>&1 </dev/null &
echo $! >"$work/run/pid"
echo "training runs as process $(cat "$work/run/pid"), log in $work/run/train.log"
