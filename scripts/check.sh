#!/usr/bin/env bash
# Everything that can be said about the code without running it. Runs all checks, then fails if one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=()

check() { # NAME COMMAND...
  local name=$1
  shift
  echo "==> $name"
  "$@" || failed+=("$name")
}

fresh() { # DOCUMENT MAKE_TARGET COMMAND...: the committed document is what the code says today
  local document=$1 target=$2 now
  shift 2
  if ! now=$("$@"); then
    echo "could not make $document"
    return 1
  fi
  if ! diff -u "$document" <(printf '%s\n' "$now") | head -40; then
    echo "$document is stale: run make $target"
    return 1
  fi
}

check "format" "$bin/ruff" format --check .
check "lint" "$bin/ruff" check .
check "types" "$bin/mypy" --strict
check "import direction" "$bin/lint-imports" --no-logo
check "docs/asyncapi.yaml is fresh" fresh docs/asyncapi.yaml asyncapi "$bin/caravan" bus asyncapi
check "docs/caravan.schema.json is fresh" fresh docs/caravan.schema.json schema "$bin/caravan" config schema

if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
echo "all checks passed"
