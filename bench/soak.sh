#!/usr/bin/env bash
# An hour of calls that come and go at 80 % of what this machine carries, and a verdict. SECONDS_=1200 for less.
# Further options go to `tritone bench soak`.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
tritone="$root/.venv/bin/tritone"
if [[ ! -x "$tritone" ]]; then
  tritone="$(command -v tritone || true)"
fi
if [[ -z "$tritone" ]]; then
  echo "tritone: not installed; run 'make demo' once, or pip install 'tritone[server,bench]'" >&2
  exit 2
fi
exec "$tritone" bench soak --seconds "${SECONDS_:-3600}" "$@"
