#!/usr/bin/env bash
# perf_analyzer 2.60 on machines whose C library is older than it needs (2.38): the program from its wheel, the
# libraries from Debian's packages of "trixie", unpacked into a private folder. The system is not changed.
#
#   bench/perf_analyzer.sh install        once; prints what to put into $PERF_ANALYZER
#   bench/perf_analyzer.sh OPTIONS...     runs it
#
# Needs Debian or Ubuntu with apt-get, dpkg-deb and Debian's archive keys.
set -euo pipefail
version=2.60.0
home="${TRITONE_PERF_ANALYZER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/tritone/perf_analyzer-$version}"
program="$home/wheel/perf_analyzer/bin/perf_analyzer"
libraries="$home/system/usr/lib/x86_64-linux-gnu"

die() { echo "tritone: $*" >&2; exit 1; }

install() {
  local here python mirror keys
  here="$(cd "$(dirname "$0")/.." && pwd)"
  python="$here/.venv/bin/python"
  [[ -x "$python" ]] || python=python3
  mkdir -p "$home" "$home/apt/state/lists/partial" "$home/apt/cache/archives/partial" "$home/debs"
  "$python" -m pip download --quiet --quiet --no-deps --only-binary=:all: --platform manylinux_2_38_x86_64 \
    --dest "$home" "perf-analyzer==$version" || die "the wheel perf-analyzer==$version cannot be had"
  rm -rf "$home/wheel"
  "$python" -m zipfile -e "$home"/perf_analyzer-"$version"-*.whl "$home/wheel"
  chmod +x "$program"
  if ! "$program" --version >/dev/null 2>&1; then
    # The mirror and the keys that this machine uses already, with the newer suite.
    mirror="$(sed -n 's/^URIs: *\([^ ]*\/debian\)\/*$/\1/p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\/debian\)\/* .*/\2/p' \
      /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.list 2>/dev/null | head -n 1 || true)"
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    [[ -n "$mirror" && -f "$keys" ]] || die "no Debian mirror or no keys in $keys; use a system with glibc 2.38"
    echo "deb [signed-by=$keys] $mirror trixie main" > "$home/apt/sources.list"
    local options=(
      -o "Dir::Etc::sourcelist=$home/apt/sources.list" -o Dir::Etc::sourceparts=/nonexistent
      -o "Dir::State=$home/apt/state" -o "Dir::State::status=/dev/null" -o "Dir::Cache=$home/apt/cache"
      -o APT::Sandbox::User=root -o APT::Get::List-Cleanup=0
    )
    apt-get "${options[@]}" --quiet update >/dev/null || die "the package lists of trixie cannot be had"
    (cd "$home/debs" && apt-get "${options[@]}" --quiet download \
      libc6 libstdc++6 libgcc-s1 libssl3t64 zlib1g libzstd1 >/dev/null) || die "its libraries cannot be had"
    for package in "$home"/debs/*.deb; do dpkg-deb -x "$package" "$home/system"; done
  fi
  run --version >/dev/null 2>&1 || die "perf_analyzer does not run on this system"
  echo "export PERF_ANALYZER='$here/bench/perf_analyzer.sh'"
}

run() {
  if [[ -d "$libraries" ]]; then
    "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$program" "$@"
  else
    "$program" "$@"
  fi
}

case "${1:-}" in
  install) install ;;
  "") die "usage: bench/perf_analyzer.sh install | OPTIONS..." ;;
  *)
    [[ -x "$program" ]] || die "not installed; run bench/perf_analyzer.sh install"
    if [[ -d "$libraries" ]]; then
      exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$program" "$@"
    fi
    exec "$program" "$@"
    ;;
esac
