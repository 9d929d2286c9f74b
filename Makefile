# Backstop. `make` alone lists the targets; each sets up what it needs first.
SHELL := /bin/bash
# requirements.lock is made for Python 3.11; 3.12 works, 3.13 lacks this numpy.
PYTHON ?= python3
BIN := .venv/bin
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-warn-conflicts --require-hashes
# Tests wait for processes of their own: one more worker than cores, at most four.
WORKERS ?= $(shell cores=$$(nproc); echo $$((cores > 3 ? 4 : cores + 1)))
MAMUSHI := $(BIN)/mamushi --line-length 110

.PHONY: help setup demo test lint format gas bench mutants chaos clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

setup: node_modules/.done ## install everything, pinned, under .venv and node_modules

demo: setup ## a crash, its bad debt and its recovery, start to end
	$(BIN)/ape run demo --fresh

test: lint ## lint, then every test
	$(BIN)/ape test --numprocesses $(WORKERS) --dist loadfile

lint: setup ## check style and types, change nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy .
	$(MAMUSHI) --check $(wildcard contracts)

format: setup ## rewrite Python and Vyper sources in the house style
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format
	$(MAMUSHI) $(wildcard contracts)

gas: setup ## measure gas
	$(BIN)/ape run gas

bench: setup ## measure speed
	$(BIN)/ape run bench

mutants: setup ## see whether the tests find faults in the contracts
	$(BIN)/ape run mutants

chaos: setup ## see whether keepers survive what can happen to them
	$(BIN)/ape run chaos

clean: ## remove what a run leaves behind
	rm -rf .build .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build runs *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -not -path './node_modules/*' -prune -exec rm -rf {} +

distclean: clean ## remove the installed tools as well
	rm -rf .venv node_modules

# The two stamps: a step runs again only when its locks change.

.venv/.done: requirements-nodeps.lock requirements.lock tools/backstop.pth
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo 'python3-venv is missing: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) --no-deps -r requirements-nodeps.lock
	$(PIP_INSTALL) --no-build-isolation -r requirements.lock
	cp tools/backstop.pth "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	touch $@

node_modules/.done: package-lock.json requirements-node.lock tools/setup_node.sh .venv/.done
	tools/setup_node.sh
	touch $@
