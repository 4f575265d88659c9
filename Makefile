# Two commands for a newcomer: `make demo` runs Moorage, `make test` proves it. Everything installs itself.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test check unit node sim bench clean

help:
	@echo "make demo    start Moorage and run real containers on Fargate and on an instance"
	@echo "make test    everything that must hold: style, types, layers, unit, simulator, real containers"
	@echo "make setup   install only: afterwards .venv/bin/moor runs"
	@echo "make check   the quick part of the tests: style, types, layers, unit"
	@echo "make sim     the whole platform under a virtual clock; make sim SEED=8127 replays one seed"
	@echo "make bench   the figures of benchmarks/, side by side with their peers"

setup: $(STAMP)
	@scripts/packages node

$(STAMP): pyproject.toml scripts/venv
	@scripts/venv $(PYTHON) $(VENV) '.[dev]'
	@touch $@

demo: setup
	@$(BIN)/python scripts/demo.py

test: setup check node

check: $(STAMP)
	$(BIN)/ruff format --check src tests benchmarks scripts
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/unit tests/conformance tests/tidy tests/sim

node: setup
	@scripts/packages test
	$(BIN)/pytest tests/node

sim: $(STAMP)
	$(BIN)/python -m moorage.sim $(if $(SEED),--seed $(SEED),--seeds 40)

bench: setup
	@scripts/packages bench
	@scripts/venv $(PYTHON) $(VENV) '.[dev,bench]'
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
