# The whole interface: make lab, make test, make bench, make format.
# Each does all its set-up itself and can be run again: what is done is not done twice.
# make test PART=unit runs one part of the tests; the parts are unit, engine, labs, extension and browser.
.PHONY: lab test bench format install engine browser
SHELL := /bin/bash
MAKEFLAGS += --jobs=2 --no-print-directory
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Where it is set, each of many hundred processes compiles all that it imports: seconds of work each.
unexport PYTHONDONTWRITEBYTECODE

lab: install engine
	labkit lab $(if $(WORKSPACE),"$(WORKSPACE)")

test: install engine browser
	@python tests/parts.py $(PART) $(if $(NEWEST),--newest $(NEWEST))

bench: install engine
	@for figure in tests/bench/bench_*.py; do python $$figure || exit 1; done

format: install
	ruff format . && ruff check --fix .
	cd extension && jlpm run format

# Python part: a virtual environment with the locked dependencies, then labkit itself with its JupyterLab panel.
.venv/bin/uv: requirements.lock
	@command -v git >/dev/null || { echo "labkit needs git: apt-get install git"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "labkit needs Python 3.11 or newer: apt-get install python3, or make PYTHON=/path/to/it"; exit 1; }
	@echo "[python] making .venv"
	@$(PYTHON) -m venv .venv || { echo "labkit needs Python's venv module: apt-get install python3-venv"; exit 1; }
	@awk '/^[a-z]/{wanted=/^uv==/} wanted' requirements.lock > .venv/uv.lock
	@$(BIN)/pip install --quiet --require-hashes --requirement .venv/uv.lock
	@touch $@

.venv/locked: .venv/bin/uv
	@echo "[python] installing the locked dependencies"
	@uv pip sync --quiet --require-hashes requirements.lock
	@touch $@

install: .venv/installed
.venv/installed: .venv/locked pyproject.toml $(shell find extension/src extension/style extension/package.json extension/overrides.json -type f 2>/dev/null)
	@echo "[python] installing labkit and building its panel"
	@uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Engine part: the container engine and the images.
engine: .venv/locked
	@echo "[engine] checking this machine, building what is missing"
	@python -m labkit doctor --fix

browser: .venv/locked
	@python tests/browser.py
