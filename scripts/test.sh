#!/usr/bin/env bash
# First the tests of the streams on a real broker, alone: they are about who is how late. Then all
# others in three lanes: those on the whole set of real servers mostly wait for them; beside them
# run those without servers in two lanes, which take what the processor has left, and both of two
# cores once the servers are done.
set -euo pipefail
mkdir -p build
streams=tests/streams
# Fits and simulations take most of the processor: one lane of them, one of all else.
models=(tests/models tests/simulation tests/arms tests/cluster_model)
# Only the files that have such tests: collecting all three thousand takes half a minute.
mapfile -t on_streams < <(grep -rlF "mark.real" --include="test_*.py" "$streams")
mapfile -t on_servers < <(grep -rlF "mark.real" --include="test_*.py" tests | grep -v "^$streams/")
run() { .venv/bin/python -m pytest "$@"; }
beside() { nice -n 19 .venv/bin/python -m pytest -m "not real and not soak" "$@"; }
failed=0
run -m "real and not soak" "${on_streams[@]}" || failed=1
beside "${models[@]}" >build/test-models.log 2>&1 &
of_models=$!
beside "${models[@]/#/--ignore=}" >build/test-beside.log 2>&1 &
of_others=$!
trap 'pkill -P "$of_models" 2>/dev/null || true; pkill -P "$of_others" 2>/dev/null || true' EXIT
run -m "real and not soak" "${on_servers[@]}" || failed=1
wait "$of_models" || failed=1
wait "$of_others" || failed=1
trap - EXIT
cat build/test-models.log build/test-beside.log
exit "$failed"
