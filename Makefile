# The project's daily commands; `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
export PYTHONDONTWRITEBYTECODE ?=

.PHONY: help setup demo demo-live test test-unit coverage lint format bench bench-forecast bench-control bench-decide bench-size bench-streams soak rig rigs lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: .venv/.installed ## Install the locked packages into .venv

# uv does the same in seconds where pip needs a minute; it comes from the registry like the rest.
.venv/.installed: requirements-dev.lock pyproject.toml scripts/setup.sh
	@PYTHON=$(PYTHON) bash scripts/setup.sh requirements-dev.lock

demo: setup ## Fourteen days of a real load through the whole path: a table and build/demo/report.html
	@$(BIN)/mplp-predictor demo

demo-live: setup rigs ## The same against a real Kafka broker and a real HPA controller
	@$(BIN)/mplp-predictor demo --live

rigs: setup ## Build the real servers once into .cache/rigs
	@$(BIN)/python -m rigs build

rig: setup rigs ## Bring a real Kafka broker and Kubernetes control plane up until Ctrl-C
	@$(BIN)/python -m rigs up

lint: setup ## Format check, lint, types, layers, lengths, unused dependencies
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/deptry . 
	@$(BIN)/python scripts/lengths.py

format: setup ## Put files into the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

test-unit: setup ## The tests that need no server
	@$(BIN)/python -m pytest -m "not real and not soak"

test: setup lint rigs ## All that CI runs: lint, then every test, unit to real servers
	@bash scripts/browser.sh
	@bash scripts/test.sh

# Not part of `make test`: tracing makes fits and simulations three times as slow.
coverage: setup ## Which lines the tests without servers run
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest -q -m "not real and not soak"
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --fail-under=80

bench: setup ## The forecast of the embedded load and CPU costs, as JSON under build/bench
	@$(BIN)/python -m scripts.bench

bench-forecast: setup ## Our forecast next to peers on load traces; TRACES="FILE[:SERIES] ..." OPTIONS=--no-peers
	@OMP_NUM_THREADS=1 $(BIN)/python -m scripts.bench_forecast $(OPTIONS) $(TRACES)

bench-control: setup ## Our floor next to HPA alone and every peer on traces; TRACES="FILE[:SERIES] ..." OPTIONS=--days=3
	@OMP_NUM_THREADS=1 $(BIN)/python -m scripts.bench_control $(OPTIONS) $(TRACES)

bench-decide: setup ## CPU of a decision for 30,000 targets, as JSON under build/bench
	@OMP_NUM_THREADS=1 $(BIN)/python -m scripts.bench_decide

bench-size: setup ## What a request costs, learned next to scikit-learn's regressions, and the CPU of sizing 30,000 targets
	@OMP_NUM_THREADS=1 $(BIN)/python -m scripts.bench_cost_line
	@OMP_NUM_THREADS=1 $(BIN)/python -m scripts.bench_size

bench-streams: setup rigs ## Events per CPU second next to peers on a real broker, into build/bench
	@$(BIN)/python -m scripts.bench_streams

soak: setup rigs ## The long tests: faults for minutes, decoders under 200,000 inputs
	@$(BIN)/python -m pytest -m soak

lock: setup ## Write the hash-locked requirements anew
	@bash scripts/lock.sh

clean: ## Remove what was built, the environment and the rigs included
	@rm -rf .venv .cache build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache
