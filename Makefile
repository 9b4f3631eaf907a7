# Everything a developer does. `setup` needs Python 3.11+ and make, nothing else; the other targets call it first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venvs/bench/bin
STAMP := $(VENV)/.installed
JOBS ?= auto
FUZZ := .venvs/fuzz/bin
TIME ?= 300
REQUESTS ?= 20000

export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint format types check docs build bench audit fuzz soak clean

help:
	@echo "make demo    install, start the emulator, ask it through LangChain and LlamaIndex"
	@echo "make test    the tests, on the oldest release, 0.24.0 and the newest"
	@echo "make test-all  the tests on every release, with coverage"
	@echo "make check   lint, types, docs, test-all: what must be green before a commit"
	@echo "make lint | format | types | docs | build | bench | audit | clean"
	@echo "make fuzz    break the readers of replies with atheris, for TIME=300 seconds, in an environment of its own"
	@echo "make soak    REQUESTS=20000 streams with breaks, cancels and faults; memory, sockets, threads and tasks at the end"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]" --group dev
	@touch $(STAMP)

demo: setup
	@$(BIN)/ragflow-integrations demo

test: setup
	$(BIN)/python -m pytest -n $(JOBS) -m "not matrix"

test-all: setup
	$(BIN)/python -m pytest -n $(JOBS) --cov --cov-report=term

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python tools/generate_sync.py --check
	$(BIN)/lint-imports

format: setup
	$(BIN)/python tools/generate_sync.py
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: setup
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

check: lint types docs test-all

docs: setup
	$(BIN)/mkdocs build --strict --quiet

build: setup
	$(BIN)/python -m build --outdir dist

# In an environment of its own: what the peers ask for must not change what the tests run with.
bench:
	test -x $(BENCH)/python || $(PYTHON) -m venv .venvs/bench
	$(BENCH)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BENCH)/python -m pip install --quiet --constraint constraints.txt --editable ".[langchain,llamaindex]" --group bench
	$(BENCH)/python -m benchmarks

audit: setup
	$(BIN)/python .ci/audit.py

fuzz:
	test -x $(FUZZ)/python || $(PYTHON) -m venv .venvs/fuzz
	$(FUZZ)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(FUZZ)/python -m pip install --quiet --constraint constraints.txt --editable . --group fuzz
	$(FUZZ)/python -m tests.fuzz --seconds $(TIME)

soak: setup
	$(BIN)/python -m tests.soak --requests $(REQUESTS)

clean:
	rm -rf $(VENV) .venvs dist site build htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
