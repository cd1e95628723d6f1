# Everything here sets itself up: the first call makes .venv with the locked dependencies, later calls find it done.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
N ?= 200
READY := $(VENV)/.ready

.PHONY: demo test check bench fuzz lock clean help

help:  ## Show what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Setting up $(VENV) (once, a minute or two) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## Build the demo city, run its scenario, write out/demo/
	@$(BIN)/patrol demo

test: $(READY)  ## Run the whole test suite
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(READY)  ## Lint, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(READY)  ## Measure against the peers, print a table, write out/bench.json
	@$(BIN)/python tests/benchmarks/bench.py

fuzz: $(READY)  ## Read spoiled copies of real files, N rounds each (make fuzz N=200), and print the counts
	@$(BIN)/python tests/geodata/fuzzing.py --rounds $(N)

lock: $(READY)  ## Resolve the dependencies anew into requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --upgrade --output-file requirements.lock

clean:  ## Remove the environment and all results
	rm -rf $(VENV) out
