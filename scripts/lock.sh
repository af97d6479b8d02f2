#!/usr/bin/env bash
# Writes the three hash-locked requirement files; called by `make lock`. No index or file URL may
# come out of it: whoever installs chooses the registry.
set -euo pipefail
uv=".venv/bin/uv"
options=(--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --upgrade)
[ -x "$uv" ] || { python3 -m venv .venv && .venv/bin/pip install --quiet uv; }
echo "uv" | "$uv" pip compile "${options[@]}" - -o requirements-setup.lock
"$uv" pip compile "${options[@]}" pyproject.toml --extra calendar -o requirements.lock
"$uv" pip compile "${options[@]}" pyproject.toml --extra calendar --extra parquet --extra dask --group dev --constraint requirements.lock <(echo "hatchling>=1.27"; echo "editables>=0.5") -o requirements-dev.lock
for peer in confluent quix; do
  "$uv" pip compile "${options[@]}" "scripts/bench_streams/peers/$peer.in" -o "scripts/bench_streams/peers/$peer.lock"
done
! grep -nE 'https?://' requirements*.lock scripts/bench_streams/peers/*.lock
