#!/usr/bin/env bash
# What is left out of `make test`: first what kills and overloads, alone on the machine, then all else that takes long,
# in several processes. The second runs whatever the first says; the last lines are both summaries.
#   scripts/chaos.sh [ARGS...]   pytest gets them, both times; PYTEST_WORKERS: how many processes (7)
set -uo pipefail
cd "$(dirname "$0")/.."
nothing_collected=5
said=$(mktemp -d)
trap 'rm -rf "$said"' EXIT
trap 'exit 130' INT
codes=()

run() { # NAME PYTEST_ARGUMENTS...
  local name=$1
  shift
  echo "==> $name"
  .venv/bin/python -m pytest "$@" | tee -i "$said/$name"
  codes+=("${PIPESTATUS[0]}")
}

summary() { # NAME: which tests failed or were skipped, if any, and how many there were
  echo "==> $1"
  sed -n '/^=* short test summary info =*$/,$p' "$said/$1" | grep . || tail -n 1 "$said/$1"
}

run "chaos" -m chaos "$@"
run "long" -n "${PYTEST_WORKERS:-7}" --dist loadscope -m "long and not chaos" "$@"
summary "chaos"
summary "long"

for code in "${codes[@]}"; do
  if [ "$code" -eq 0 ] || { [ "$code" -eq "$nothing_collected" ] && [ $# -gt 0 ]; }; then continue; fi
  exit 1
done
if [ "${codes[*]}" = "$nothing_collected $nothing_collected" ]; then exit "$nothing_collected"; fi
