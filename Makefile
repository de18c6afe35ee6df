# Two commands to know: `make demo` trains an adapter, `make test` runs the tests.
# Each makes .venv first when it is missing or when the dependencies changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# OpenMP threads that spin while they wait cost far more than they save on a shared machine.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help install demo test test-slow fuzz check format

help:
	@echo "make install    make .venv and install mfl_adapt with exact versions"
	@echo "make demo       train, evaluate and picture an adapter (no GPU, weights or data needed)"
	@echo "make test       run the tests (minutes)"
	@echo "make test-slow  run the slow tests as well"
	@echo "make fuzz       give every parser ten thousand broken files (half an hour)"
	@echo "make check      ruff, mypy and the import rules"
	@echo "make format     let ruff format the code"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: mfl_adapt needs Python 3.11 or newer; name one with PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $(STAMP)

demo: install
	$(BIN)/mfl-adapt train --plugins masked_loss,lora_gslrm

test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: install
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow or not slow and not gpu and not weights"

fuzz: install
	$(BIN)/python -m pytest tests/fuzz -m slow

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy mfl_adapt plugins examples/mfl-adapt-finch/mfl_adapt_finch
	$(BIN)/python -m pytest tests/test_architecture.py

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
