#!/usr/bin/env bash
# All tests in two lanes. Those on the whole set of real servers mostly wait for them; beside them
# run the tests of the streams, then those without servers, which take what the processor has left.
set -euo pipefail
mkdir -p build
streams=tests/streams
run() { .venv/bin/python -m coverage run -m pytest "$@"; }
beside() {
  local failed=0
  run -m "real and not soak" "$streams" || failed=1
  nice -n 19 .venv/bin/python -m coverage run -m pytest -m "not real and not soak" || failed=1
  return "$failed"
}
beside >build/test-beside.log 2>&1 &
beside=$!
trap 'pkill -P "$beside" 2>/dev/null || true' EXIT
failed=0
run -m "real and not soak" --ignore="$streams" || failed=1
wait "$beside" || failed=1
trap - EXIT
cat build/test-beside.log
exit "$failed"
