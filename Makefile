# `make compress` and `make test` set everything up themselves: a virtual environment in .venv, then the work.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: compress test lint bench grid clean

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) else "edgekit needs Python 3.11 to 3.13: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --editable '.[train,weights,report,devices,dev]'
	touch $(READY)

compress: $(READY)  ## The main job: train, quantize, export, verify, measure, report
	$(RUN)/edgekit compress --model mobilenet

test: $(READY)  ## Every test that this machine can run
	$(RUN)/python -m pytest --numprocesses 2 --dist worksteal --durations 40

lint: $(READY)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

bench: $(READY)  ## Measure our own claims, side by side with the alternatives
	$(RUN)/python benchmarks/run.py

grid: $(READY)  ## Every step on every kind of network, exported int8; only what the code has changed is measured again
	$(RUN)/python benchmarks/grid.py
	$(RUN)/python benchmarks/steps_grid.py

clean:
	rm -rf $(VENV) runs
