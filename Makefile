# make         set everything up and run the study
# make test    run the tests          make lint    check style, sizes and the workflow
# make bench   measure the engine     make setup   make .venv only
# make docs    build the documentation: build/html/docs/index.html
# make graph   draw docs/rules.svg, with Graphviz, after a rule came or went
# make matrix  run the tests on every Python that is found, with the oldest and the newest packages
# make fuzz    damage 100,000 files of each kind; CNNVIS_FUZZ=3000 is minutes
# make faults  kill 50 runs, fill disks, run twice at once; CNNVIS_FAULTS=6 is minutes
#
# PYTHON=python3.12 chooses the Python that .venv is made with; CORES=4 limits the run.

PYTHON ?= python3
CORES ?= all
BIN := .venv/bin

.DEFAULT_GOAL := run
.PHONY: run setup test lint bench graph fuzz faults matrix

run: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores $(CORES)
	@echo "Look at $(CURDIR)/results/index.html in a browser."

setup: .venv/.complete
	@:

.venv/.complete: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is missing or older than 3.11; try make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make a .venv; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up .venv (about a minute)"
	@test -x $(BIN)/python && $(BIN)/python -c 'import pip' 2>/dev/null || \
	  $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,lint]'
	@touch $@

test: setup
	@$(BIN)/python -m pytest -n auto

fuzz: setup
	@CNNVIS_FUZZ=$${CNNVIS_FUZZ:-100000} $(BIN)/python -m pytest -n auto tests/fuzz

matrix:
	@scripts/test_matrix.sh

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/snakefmt --check Snakefile workflow
	@$(BIN)/snakemake --lint
	@scripts/check_file_sizes.sh

# -E: docstrings and the table of imports come from code, whose changes Sphinx does not see.
.PHONY: docs
docs: .venv/.docs
	@$(BIN)/python -m sphinx -q -E -W --keep-going -c docs . build/html
	@echo "Look at $(CURDIR)/build/html/docs/index.html in a browser."

.venv/.docs: .venv/.complete
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

bench: setup
	@$(BIN)/python benchmarks/run.py

graph: setup
	@$(BIN)/snakemake --quiet all --rulegraph | sed 's/@photonet//' | dot -Tsvg > docs/rules.svg

faults: setup
	@CNNVIS_FAULTS=$${CNNVIS_FAULTS:-50} $(BIN)/python -m pytest -n auto tests/faults
