#!/usr/bin/env bash
# How many live streams this machine carries, in one command. Further options go to `tritone bench capacity`.
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
exec "$tritone" bench capacity "$@"
