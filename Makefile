# Every task of the project; `make help` lists them.
PYTHON ?= python3
WAV ?= demo/question.wav
# What shares a server stays on one worker (conftest.py); the tests of one file are not worth the start of workers.
WORKERS ?= $(if $(findstring .py,$(ARGS)),0,2)
PYTEST = $(BIN)/python -m pytest -n $(WORKERS)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONPATH :=
# Bytecode is kept: tests start a process after another, and each worker collects all of them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the tasks
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(READY) ## Create .venv with the product and its tools

$(READY): requirements/dev.txt $(shell find protos services client -name pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "voxmesh needs Python 3.11 or newer; run: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --require-hashes -r requirements/pip.txt
	$(BIN)/python -m pip install --progress-bar on --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation $$($(BIN)/python tools/distributions.py -e)
	@touch $@

.PHONY: engine
engine: setup ## Make the environments of engines that are not in the default set; ENGINES=name
	$(BIN)/python tools/engine_env.py $(ENGINES)

.PHONY: gen
gen: setup ## Generate the stubs from protos/
	$(BIN)/python tools/gen.py

.PHONY: gen-check
gen-check: setup ## Prove that the committed stubs are fresh
	$(BIN)/python tools/gen.py --check

.PHONY: lock
lock: setup ## Pin every environment again with hashes, and name the default engines where they are named
	$(BIN)/python tools/lock.py
	$(BIN)/python tools/defaults.py

.PHONY: format
format: setup ## Format code and protos
	ruff format .
	ruff check --fix .
	buf format -w

.PHONY: lint
lint: setup gen-check ## Static checks: ruff, pyright, layers, buf, hadolint
	ruff format --check .
	ruff check .
	$(BIN)/python tools/engine_env.py --types
	$(BIN)/python tools/layers.py
	$(BIN)/python tools/defaults.py --check
	buf lint
	buf format -d --exit-code
	hadolint services/*/Dockerfile

.PHONY: breaking
breaking: setup ## Changes of the contract against main that break callers
	buf breaking --against '.git#branch=main'

.PHONY: k8s-check
k8s-check: setup ## Render and validate every manifest, offline
	$(BIN)/python tools/k8s_check.py

.PHONY: test
test: test-default test-engines ## All tests that need no GPU

.PHONY: test-default
test-default: setup ## The tests of the default set; ARGS=path for some of them, WORKERS=0 for one process
	$(PYTEST) -m "not gpu" $(ARGS)

.PHONY: test-engines
test-engines: setup ## The tests of the other engines, in their environments; ENGINES=name to choose
	$(BIN)/python tools/engine_env.py --test $(ENGINES)

.PHONY: test-fast
test-fast: setup ## The tests without models: units, and sessions in virtual time with fakes
	$(PYTEST) -m "unit or virtual" $(ARGS)

.PHONY: sizes
sizes: setup ## Lines, modules, complexity, import cycles, and calls a transcript and a delta
	$(BIN)/python tools/sizes.py $(ARGS)
	$(BIN)/python tools/session_calls.py

.PHONY: demo
demo: setup ## One spoken turn with real models; WAV=mine.wav for your own question
	voxmesh demo $(WAV)

.PHONY: up
up: setup ## Start all services on loopback; Ctrl-C stops them
	voxmesh up

.PHONY: bench
bench: setup ## Measure the mesh against the same models in one process
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: prune
prune: setup ## Remove engines' packages from the user's cache that no lock of this checkout names
	$(BIN)/python tools/engine_env.py --prune

.PHONY: clean
clean: ## Remove the environments and everything built; engines' packages stay in the user's cache (make prune)
	rm -rf $(VENV) .venvs build dist .hypothesis .pytest_cache .ruff_cache
