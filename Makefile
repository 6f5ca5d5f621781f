# Every target makes its own set-up; nothing has to be installed before.
PYTHON ?= python3
VENV := .venv
SEED ?= 0
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test faults check format clean

demo: $(VENV)/.demo
	$(BIN)/kttoolkit tune datasets/pima_diabetes.csv --target diabetes \
	  --tuner hyperband --cv 5 --max-epochs 8 --test-size 0.2 --seed 0 \
	  --out studies/demo --overwrite

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist worksteal -q

faults: $(VENV)/.test
	$(BIN)/python tests/faults/run.py --kills 200 --seed $(SEED)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m fault tests
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -q -n 2 --dist worksteal \
	  --hypothesis-seed=$(SEED) tests/test_hostile*.py tests/test_fuzz.py
	$(BIN)/python tests/benchmarks/memory.py

check: $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir $(VENV)/import-linter
	$(BIN)/interrogate -q kttoolkit
	$(BIN)/pydoclint -q kttoolkit
	$(BIN)/codespell
	$(BIN)/vulture

format: $(VENV)/.check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist studies

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -c constraints.txt -e .
	touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -c constraints.txt -e ".[test]"
	touch $@

$(VENV)/.check: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -c constraints.txt -e ".[test,check]"
	touch $@
