# Each target works as the first command on a fresh machine with Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install install-test demo test lint bench clean

install: $(VENV)/installed

install-test: $(VENV)/installed-test

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'OmniFuse needs Python 3.11 or newer: make PYTHON=python3.12 install')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	mkdir -p $(VENV)/types && ln -sfn "$(CURDIR)" $(VENV)/types/omnifuse
	touch $@

demo: install
	$(BIN)/omnifuse demo --out demo

test: install-test lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: install-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p omnifuse

bench: install-test
	$(BIN)/python benchmarks/performance.py $(if $(QUICK),--quick)

clean:
	rm -rf $(VENV) demo build *.egg-info
