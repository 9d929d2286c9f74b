# Backstop. `make` alone lists the targets; each sets up what it needs first.
SHELL := /bin/bash
# requirements.lock is made for Python 3.11; 3.12 works, 3.13 lacks this numpy and pyrevm.
PYTHON ?= python3
BIN := .venv/bin
# Tests wait for processes of their own: one more worker than cores, at most four.
WORKERS ?= $(shell cores=$$(nproc); echo $$((cores > 3 ? 4 : cores + 1)))
# A file to a worker, what takes long first (tests/conftest.py); one thread each for what computes in several.
# As `ape test`, without Ape in every worker: six seconds each, and a part of every test.
TESTS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -p no:ape_test \
	--numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
MAMUSHI := $(BIN)/mamushi --line-length 110
# Python compiles what is imported, once: the installers compile nothing, as most is never imported.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup testtools demo test deep lint style vyper-style types compile engine docs format gas bench mutants chaos clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

setup: node_modules/.done .venv/.package ## install what runs need, pinned, under .venv and node_modules

testtools: node_modules/.tests .venv/.package ## install what only tests need besides: a browser and Hardhat 2

demo: setup ## a crash, its bad debt and its recovery, start to end
	$(BIN)/ape run demo --fresh

# Node's packages wait for the network; the lint and the compiler have the processors meanwhile.
test: .venv/.package ## the quick part of lint, then every test but the deep ones
	@$(MAKE) --jobs 5 testtools types compile engine style TYPED='offchain scripts'
	$(TESTS)

deep: testtools tools/site/.venv/.done tools/hardhat3/node_modules/.done tools/silverback/.venv/.done tools/lockstep_bench/node_modules/.done ## the tests that take too long for every change
	$(TESTS) -m deep

lint: style vyper-style types ## check style and types, change nothing

style: .venv/.package
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@$(BIN)/python tools/names/count.py --check
	@$(BIN)/python tools/prose/count.py --check
	@for config in $(wildcard .importlinter .importlinter-*); do $(BIN)/lint-imports --no-logo --no-cache --config $$config || exit; done

vyper-style: .venv/.package
	$(MAMUSHI) --check $(wildcard contracts)

TYPED := .
types: .venv/.package
	$(BIN)/mypy $(TYPED)

# Tests would wait for the contracts and for the fast engine.
compile: .venv/.package
	$(BIN)/python -c 'from backstop.hosts.artifacts import Artifacts; Artifacts().load()'

engine: .venv/.package
	$(BIN)/python -c "import backstop; backstop.study('stress-day', paths=2, seed=1, engine='fast')"

format: setup ## rewrite Python and Vyper sources in the house style
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format
	$(MAMUSHI) $(wildcard contracts)

docs: tools/site/.venv/.done ## build the site of the documentation, with search, into dist/site; a broken link is an error
	$(BIN)/python tools/site/site_sources.py .build/site
	tools/site/.venv/bin/python -m sphinx -b html -d .build/site-trees -c tools/site --jobs auto --fail-on-warning --keep-going --quiet .build/site dist/site
	@echo 'dist/site/index.html'

gas: setup ## measure gas
	$(BIN)/ape run gas

bench: setup ## measure speed
	$(BIN)/ape run bench

mutants: setup ## see whether the tests find faults in the contracts, and the properties those the model shares
	$(BIN)/ape run mutants
	$(BIN)/ape run mutants --pairs

chaos: setup ## see whether keepers survive what can happen to them
	$(BIN)/ape run chaos

clean: ## remove what a run leaves behind
	rm -rf .build .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist runs offchain/*.egg-info
	find . -name __pycache__ -not -path './.venv/*' -not -path '*/node_modules/*' -prune -exec rm -rf {} +

distclean: clean ## remove the installed tools as well
	rm -rf .venv node_modules tools/hardhat3/node_modules tools/silverback/.venv tools/site/.venv tools/lockstep_bench/node_modules

# The stamps: a step runs again only when its locks change.

.venv/.done: requirements-uv.lock requirements.lock tools/pip_install.sh tools/backstop.pth
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo 'python3-venv is missing: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Python packages, into .venv'
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements-uv.lock \
		|| echo 'uv is not to be had: pip does its work' >&2
	@tools/pip_install.sh requirements.lock
	@cp tools/backstop.pth "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@$(BIN)/python -c 'import ape.cli, ape_vyper, distributed, hypothesis, numba, pandas, plotly, pyrevm, scipy, vyper.compiler, web3'
	@touch $@

# In editable mode, which neither compiles contracts nor asks for anything.
.venv/.package: .venv/.done pyproject.toml setup.py
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --no-index --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/.done: package-lock.json requirements-node.lock tools/setup_node.sh .venv/.done
	@echo 'Anvil and the charts, into node_modules'
	@tools/setup_node.sh . 20 --omit=dev
	@touch $@

node_modules/.tests: node_modules/.done
	@echo 'A browser and Hardhat 2, into node_modules'
	@tools/setup_node.sh . 20
	@touch $< $@ # npm empties the folder first

# Of its own, as Hardhat starts from where its package is, and version 3 asks for a later Node.
tools/hardhat3/node_modules/.done: tools/hardhat3/package-lock.json requirements-node.lock tools/setup_node.sh .venv/.done | testtools
	@echo 'Hardhat 3, into tools/hardhat3'
	@tools/setup_node.sh tools/hardhat3 22.13
	@touch $@

PURELIB := import sysconfig; print(sysconfig.get_path('purelib'))

# Beside .venv, whose packages it has as well: an example asks for it, the project does not.
tools/silverback/.venv/.done: tools/silverback/requirements.lock .venv/.package
	@echo 'Silverback, into tools/silverback'
	@$(BIN)/python -m venv --without-pip tools/silverback/.venv
	@echo "import site; site.addsitedir('$$($(BIN)/python -c "$(PURELIB)")')" \
		> "$$(tools/silverback/.venv/bin/python -c "$(PURELIB)")/checkout.pth"
	@$(BIN)/pip --python tools/silverback/.venv/bin/python install --quiet --disable-pip-version-check --no-compile \
		--no-deps --require-hashes -r $<
	@touch $@

tools/lockstep_bench/node_modules/.done: tools/lockstep_bench/package-lock.json requirements-node.lock tools/setup_node.sh .venv/.done
	@echo 'A Solidity vault, its compiler and Foundry, into tools/lockstep_bench'
	@tools/setup_node.sh tools/lockstep_bench 20
	@touch $@

# Beside .venv, whose packages it has as well.
tools/site/.venv/.done: tools/site/requirements.lock .venv/.package
	@echo 'Sphinx, into tools/site'
	@$(BIN)/python -m venv --without-pip tools/site/.venv
	@echo "import site; site.addsitedir('$$($(BIN)/python -c "$(PURELIB)")')" \
		> "$$(tools/site/.venv/bin/python -c "$(PURELIB)")/checkout.pth"
	@$(BIN)/pip --python tools/site/.venv/bin/python install --quiet --disable-pip-version-check --no-compile \
		--no-deps --require-hashes -r $<
	@touch $@
