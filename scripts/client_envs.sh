#!/usr/bin/env bash
# Make an environment for each of other people's clients that cannot live in .venv: .clients/NAME, from
# requirements/clients/NAME.txt (hashes checked). Does nothing for those that are there and did not change.
#   scripts/client_envs.sh [NAME...]      make them; one whose Python is not on this machine is left out
#   scripts/client_envs.sh lock [NAME...] resolve the locked requirements again
# Python interpreters: python3.12 and so on from PATH, else those of pyenv, else what uv has. None is downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
mirror=$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)
if [ -n "$mirror" ] && [ -z "${UV_DEFAULT_INDEX:-}" ]; then export UV_DEFAULT_INDEX=$mirror; fi
export UV_NO_CONFIG=1

names() { (cd requirements/clients && ls ./*.in) | sed 's/^\.\///; s/\.in$//'; }

oldest() { sed -nE 's/^# python: *//p' "requirements/clients/$1.in"; }  # a line of each file says it

find_python() { # the first interpreter that runs, from the oldest version that the client takes
  local minor candidate
  for minor in 11 12 13; do
    [ "$minor" -ge "${1#3.}" ] || continue
    for candidate in $(type -aP "python3.$minor") "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor".*/bin/python; do
      if "$candidate" -c "import sys; sys.exit(sys.version_info[:2] != (3, $minor))" >/dev/null 2>&1; then
        echo "$candidate"
        return
      fi
    done
    "$uv" python find --no-python-downloads "3.$minor" 2>/dev/null && return
  done
  return 1
}

lock() {
  local name=$1
  echo "locking requirements/clients/$name.txt"
  # the override leaves out a server that some clients ask for without need
  "$uv" pip compile --quiet --universal --python-version "$(oldest "$name")" --generate-hashes --no-emit-index-url \
    --no-annotate --no-header --override requirements/clients/overrides \
    --output-file "requirements/clients/$name.txt" "requirements/clients/$name.in"
}

make_env() {
  local name=$1 python
  local folder=.clients/$name locked=requirements/clients/$name.txt
  if cmp -s "$locked" "$folder/locked.txt"; then return; fi
  if ! python=$(find_python "$(oldest "$name")"); then
    echo "==> $name needs Python $(oldest "$name") or newer, and there is none: left out" >&2
    return
  fi
  echo "==> $folder with $("$python" --version)"
  rm -rf "$folder"
  "$uv" venv --quiet --python "$python" "$folder"
  # --no-deps: the locked file is complete
  "$uv" pip install --quiet --no-deps --require-hashes --python "$folder/bin/python" -r "$locked"
  cp "$locked" "$folder/locked.txt"
}

action=make_env
if [ "${1:-}" = lock ]; then
  action=lock
  shift
fi
[ $# -gt 0 ] || set -- $(names)
for name in "$@"; do "$action" "$name"; done
if grep -nE 'https?://' requirements/clients/*.txt; then
  echo "a locked file names a host" >&2
  exit 1
fi
