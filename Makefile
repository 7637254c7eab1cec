# Everything a person does here. `make demo` and `make test` set up what they need by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo serve test lint audit fuzz chaos format train-data train repository gpu-host clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.serve  ## install, start the service on the CPU, transcribe real calls, show text and latency, stop
	$(BIN)/python scripts/demo.py

serve: $(VENV)/.serve  ## run the service on the CPU until Ctrl-C
	$(BIN)/tritone serve

test: $(VENV)/.dev  ## run every test that this machine can run (GPU tests skip with a reason)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: $(VENV)/.dev  ## known flaws of dependencies (pip-audit) and secrets in the tree (detect-secrets)
	$(BIN)/python scripts/audit.py $(AUDIT_ARGS)

fuzz: $(VENV)/.dev  ## a million hostile inputs: FUZZ_ARGS="--seconds 60" for less, see docs/fuzzing.md
	$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

chaos: $(VENV)/.dev  ## SEEDS=200 schedules of faults in one process and OUTSIDE=8 against real servers, see docs/reliability.md
	nice $(BIN)/python -m tests.chaos --seeds $(or $(SEEDS),200) --outside $(or $(OUTSIDE),8) $(CHAOS_ARGS)

format: $(VENV)/.dev  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

repository: $(VENV)/.serve  ## write model_repository/ anew from the backend's defaults
	$(BIN)/python -m tritone_backend.triton.repository model_repository

train-data: $(VENV)/.dev  ## fetch voices and texts, speak the neural set (once, 50 min on 2 cores), bundle for the training machine
	$(BIN)/python -m tritone_acoustic.data fetch
	$(BIN)/python -m tritone_acoustic.data texts
	test -e data/sets/neural_train.tsv || $(BIN)/python -m tritone_acoustic.data neural
	$(BIN)/python -m tritone_acoustic.data bundle

train: $(VENV)/.dev  ## train the default model on this machine's GPU from data/bundle
	$(BIN)/python -m tritone_acoustic.training train

gpu-host: $(VENV)/.dev  ## pack what a GPU machine without a network lacks into data/gpu-host, for bench/serve_gpu.sh
	$(BIN)/python scripts/pack_gpu_host.py

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("tritone needs Python 3.10 to 3.13: make PYTHON=python3.11 ...") if not (3, 10) <= sys.version_info < (3, 14) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[server]'
	touch $@

$(VENV)/.dev: $(VENV)/.serve
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
