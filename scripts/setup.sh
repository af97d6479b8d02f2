#!/usr/bin/env bash
# Makes .venv and installs exactly what a lock file names. Called by `make setup`.
set -euo pipefail
lock="$1"
python="${PYTHON:-python3}"
"$python" - <<'PY' || { echo "mplp-predictor needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
PY
[ -x .venv/bin/python ] || "$python" -m venv .venv || {
  echo "python venv support is missing: sudo apt-get install -y python3-venv" >&2; exit 1; }
echo "installing the locked packages into .venv (about a minute the first time)" >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.lock
.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r "$lock"
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
touch .venv/.installed
