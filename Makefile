# Everything a contributor types. Each target makes its own virtual environment in .venv and keeps it:
# nothing is installed again until the files under requirements/ or pyproject.toml change.

PYTHON ?= python3
VENV := .venv
RIVALS := .venv-rivals
GLUED := .venv-rivals-autogluon
BIN := $(VENV)/bin
TORCH := torch==2.13.0
PINS := -c requirements/core.txt -c requirements/test.txt -c requirements/bench.txt
INSTALL := -m pip --disable-pip-version-check install --quiet
PIP := $(BIN)/python $(INSTALL) $(PINS) $(TORCH)
SHIPPED := pyproject.toml requirements/core.txt
DEMO := build/demo
NAME ?= tables
ARGS ?=
export DATA

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check bench rivals rivals-autogluon clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(SHIPPED) | $(BIN)/python
	$(PIP) --editable '.[sklearn]'
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.core
	$(PIP) --requirement requirements/test.txt
	@touch $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.test
	$(PIP) --requirement requirements/bench.txt
	@touch $@

$(RIVALS)/.done: requirements/rivals.txt
	$(PYTHON) -m venv $(RIVALS)
	$(RIVALS)/bin/python $(INSTALL) $(TORCH) --requirement requirements/rivals.txt
	@touch $@

$(GLUED)/.done: requirements/rivals-autogluon.txt
	$(PYTHON) -m venv $(GLUED)
	$(GLUED)/bin/python $(INSTALL) $(TORCH) --requirement requirements/rivals-autogluon.txt
	@touch $@

demo: $(VENV)/.core ## train on a real data set and ask for one prediction
	@$(BIN)/python examples/demo/make_data.py $(DEMO)
	$(BIN)/trueweight train $(DEMO)/wine.csv --target cultivar --budget 20s > $(DEMO)/bundle-path
	@tail -n 1 $(DEMO)/bundle-path
	$(BIN)/trueweight predict "$$(tail -n 1 $(DEMO)/bundle-path)" $(DEMO)/new-bottle.csv

test: $(VENV)/.test ## run the tests (a few minutes)
	$(BIN)/python -m pytest -q

test-slow: $(VENV)/.test ## run the tests that take long: real kills, many splits
	$(BIN)/python -m pytest -q -m slow

check: $(VENV)/.test ## lint, types, and the tests until the first failure
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -x

bench: $(VENV)/.bench ## measure: make bench NAME=tables DATA=folder/with/data ARGS=more
	$(BIN)/python -m benchmarks $(NAME) $(ARGS)

rivals: $(RIVALS)/.done ## install the frameworks that make bench NAME=race and NAME=ranks compare with

rivals-autogluon: $(GLUED)/.done ## install AutoGluon, which wants another pandas, for make bench NAME=ranks

clean: ## forget the virtual environment and everything built
	rm -rf $(VENV) $(RIVALS) $(GLUED) build dist
